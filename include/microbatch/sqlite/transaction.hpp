#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace microbatch::inline v0_1::sqlite {

/// A value for a statement's parameter: NULL, a number, text or a blob.
using Value =
    std::variant<std::monostate, std::int64_t, double, std::string, std::vector<std::byte>>;

namespace detail {

template <class V>
[[nodiscard]] Value value_of(V&& value) {
  using U = std::remove_cvref_t<V>;
  if constexpr (std::same_as<U, std::nullptr_t>)
    return std::monostate{};
  else if constexpr (std::integral<U>)
    return static_cast<std::int64_t>(value);
  else if constexpr (std::floating_point<U>)
    return static_cast<double>(value);
  else if constexpr (std::convertible_to<V, std::string_view>)
    return std::string(std::string_view(value));
  else if constexpr (std::convertible_to<V, std::span<const std::byte>>) {
    const std::span<const std::byte> bytes(value);
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  } else {
    static_assert(
        std::same_as<U, Value>,
        "microbatch: a statement's argument is nullptr, a number, text, bytes or a Value");
    return std::forward<V>(value);
  }
}

}  // namespace detail

/// Statements that are run when the window commits, in the same transaction. They are collected
/// here; nothing is looked up, locked or checked before.
///
///     window.transaction().execute("INSERT INTO totals VALUES (?, ?)", customer, sum);
///
/// One statement per call; no BEGIN, COMMIT or PRAGMA; the tables microbatch_... are out of bounds.
/// A statement that fails is the window's failure: StatementError to the failure policy.
class Transaction {
 public:
  struct Statement {
    std::string sql;
    std::vector<Value> arguments;
  };

  template <class... A>
  void execute(std::string sql, A&&... arguments) {
    Statement& statement = statements_.emplace_back();
    statement.sql = std::move(sql);
    statement.arguments.reserve(sizeof...(A));
    (statement.arguments.push_back(detail::value_of(std::forward<A>(arguments))), ...);
  }

  [[nodiscard]] const std::vector<Statement>& statements() const noexcept { return statements_; }

  /// For sqlite::Table: false if this table has changes in here already.
  [[nodiscard]] bool enlist(const void* table) {
    if (std::ranges::find(tables_, table) != tables_.end()) return false;
    tables_.push_back(table);
    return true;
  }

 private:
  std::vector<Statement> statements_;
  std::vector<const void*> tables_;
};

}  // namespace microbatch::inline v0_1::sqlite
