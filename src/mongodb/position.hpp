#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "bson.hpp"

namespace microbatch::inline v0_1::mongodb {

/// Where a source goes on: {"documents": FIELD, "last": VALUE}, behind the document whose FIELD has
/// VALUE, or {"changes": TOKEN}, behind the change with that token.
class Position {
 public:
  Position() noexcept = default;  ///< at the beginning
  [[nodiscard]] static Position behind(std::string_view field, const bson_iter_t& value);
  [[nodiscard]] static Position behind_change(const bson_t& token);
  [[nodiscard]] Position clone() const;

  /// As a position file keeps it.
  [[nodiscard]] std::string encode() const;
  /// Of documents in the order of `field`, or of changes where that is empty; PositionError where
  /// it is none of these.
  [[nodiscard]] static Position decode(std::string_view text, std::string_view field);

  /// Points at VALUE, or TOKEN; false at the beginning.
  [[nodiscard]] bool find(bson_iter_t& place) const noexcept;
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(bson_); }

 private:
  explicit Position(Bson bson) noexcept : bson_(std::move(bson)) {}
  Bson bson_;
};

}  // namespace microbatch::inline v0_1::mongodb
