#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microbatch::inline v0_1::kafka {

/// librdkafka's configuration properties, by name; any of them passes through. They are checked
/// where they are used: an unknown one is a ConfigError that names it.
///
/// They print without their secrets: values of properties whose name speaks of a password, a key, a
/// secret or a token are shown as ***.
///
///     microbatch::kafka::Properties{{"bootstrap.servers", "localhost:9092"}, {"group.id", "a"}}
class Properties {
 public:
  using Entry = std::pair<std::string, std::string>;

  Properties() = default;
  Properties(std::initializer_list<Entry> entries) {
    for (const Entry& entry : entries) set(entry.first, entry.second);
  }

  /// The last one counts.
  Properties& set(std::string name, std::string value);
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  [[nodiscard]] const std::vector<Entry>& all() const noexcept { return entries_; }

  [[nodiscard]] static bool is_secret(std::string_view name) noexcept;
  /// The text without the secrets' values.
  [[nodiscard]] std::string without_secrets(std::string text) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace microbatch::inline v0_1::kafka

template <>
struct fmt::formatter<microbatch::kafka::Properties> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const microbatch::kafka::Properties& properties, Context& context) const {
    auto out = context.out();
    const char* separator = "";
    for (const auto& [name, value] : properties.all()) {
      out = fmt::format_to(
          out, "{}{}={}", separator, name,
          microbatch::kafka::Properties::is_secret(name) ? std::string_view("***") : value);
      separator = ", ";
    }
    return out;
  }
};
