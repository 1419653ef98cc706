#pragma once

#include <fmt/format.h>

#include <concepts>
#include <functional>
#include <string>
#include <string_view>

namespace microbatch::inline v0_1::kafka {

/// A topic's name, as cheap to copy and compare as a pointer, for every record has one. Equal names
/// share one text, which stays until the process ends.
///
/// Threads: any. Making one from a text looks for that text under a lock.
class Topic {
 public:
  Topic() noexcept : name_(&none()) {}
  Topic(std::string_view name) : name_(&kept(name)) {}               // NOLINT: a name is a topic
  Topic(const std::string& name) : Topic(std::string_view(name)) {}  // NOLINT
  Topic(const char* name) : Topic(std::string_view(name)) {}         // NOLINT

  [[nodiscard]] const std::string& name() const noexcept { return *name_; }
  [[nodiscard]] bool empty() const noexcept { return name_->empty(); }
  operator const std::string&() const noexcept { return *name_; }  // NOLINT
  operator std::string_view() const noexcept { return *name_; }    // NOLINT

  friend bool operator==(const Topic&, const Topic&) noexcept = default;
  template <std::convertible_to<std::string_view> S>
  friend bool operator==(const Topic& topic, const S& name) noexcept {
    return std::string_view(topic) == std::string_view(name);
  }

 private:
  static const std::string& none() noexcept {
    static const std::string empty;
    return empty;
  }
  /// The one that is kept of all equal ones.
  static const std::string& kept(std::string_view name);

  const std::string* name_;
};

}  // namespace microbatch::inline v0_1::kafka

template <>
struct std::hash<microbatch::kafka::Topic> {
  std::size_t operator()(const microbatch::kafka::Topic& topic) const noexcept {
    return std::hash<const std::string*>()(&topic.name());
  }
};

template <>
struct fmt::formatter<microbatch::kafka::Topic> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const microbatch::kafka::Topic& topic, Context& context) const {
    return fmt::formatter<std::string_view>::format(topic.name(), context);
  }
};
