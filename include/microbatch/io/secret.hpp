#pragma once

#include <string>
#include <utility>

namespace microbatch::inline v0_1 {

/// A password or the like. It is not formattable and does not convert to a text, so that it gets
/// into no log, message or metric by mistake; reveal() is for whom it is meant.
class Secret {
 public:
  Secret() = default;
  Secret(std::string text) : text_(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  Secret(const char* text) : text_(text) {}             // NOLINT(google-explicit-constructor)

  [[nodiscard]] const std::string& reveal() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

 private:
  std::string text_;
};

}  // namespace microbatch::inline v0_1
