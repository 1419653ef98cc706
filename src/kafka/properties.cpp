#include <microbatch/kafka/properties.hpp>

#include <algorithm>
#include <array>

namespace microbatch::inline v0_1::kafka {

Properties& Properties::set(std::string name, std::string value) {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [&](const Entry& entry) { return entry.first == name; });
  if (at != entries_.end())
    at->second = std::move(value);
  else
    entries_.emplace_back(std::move(name), std::move(value));
  return *this;
}

std::optional<std::string> Properties::get(std::string_view name) const {
  for (const Entry& entry : entries_)
    if (entry.first == name) return entry.second;
  return std::nullopt;
}

bool Properties::is_secret(std::string_view name) noexcept {
  constexpr std::array words{"password",           "secret", "token",
                             "oauthbearer.config", "jaas",   "key.pem"};
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return name.find(word) != std::string_view::npos;
  });
}

std::string Properties::without_secrets(std::string text) const {
  std::vector<std::string_view> secrets;
  for (const auto& [name, value] : entries_)
    if (is_secret(name) && !value.empty()) secrets.push_back(value);
  // The longest first: one may hold another.
  std::sort(secrets.begin(), secrets.end(),
            [](std::string_view a, std::string_view b) { return a.size() > b.size(); });
  for (const std::string_view secret : secrets)
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
      text.replace(at, secret.size(), "***");
  return text;
}

}  // namespace microbatch::inline v0_1::kafka
