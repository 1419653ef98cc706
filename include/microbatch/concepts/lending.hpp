#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage.hpp"

namespace microbatch::inline v0_1 {

/// A window that the active consumer lets another process handle.
struct Loan {
  std::int64_t id = 0;
  std::uint64_t fence = 0;  ///< grows with every borrower; an older one is refused
  std::vector<ItemRun> runs{};
};

/// How a loan stands.
struct LoanState {
  enum class Is : std::uint8_t {
    offered,    ///< nobody has it
    borrowed,   ///< somebody works on it
    delivered,  ///< and has committed it
    failed,     ///< or has given it back, with the callback's error
    lost,       ///< its borrower is silent for too long; or there is no such loan
  };
  Is is = Is::lost;
  std::string error{};
  Failure failure = Failure::poison;
};

/// A storage through which the holder of a stream's lease lends windows to other processes. As in
/// Storage, every function is one transaction; Bell::lent rings with each change.
///
///   offer(token, runs)             these items may be borrowed; LeaseLost
///   loan(id)                       how it stands
///   take_back(id)                  the same, and the loan is over: its borrower cannot commit
///   borrow(borrower, time)         the oldest offer, for that long
///   extend(loan, time)             LeaseLost where it is over
///   settle_loan(loan, tx, safety)  its items are delivered, and `tx` is done; LeaseLost
///   fail_loan(loan, error, f)      the callback failed; LeaseLost
///   ask_for_loans()                somebody would borrow
///   loans_wanted()                 somebody has asked lately
///
/// A loan is over, too, when the lease of who offered it is.
/// Models: sqlite::Storage.
template <class S>
concept LendingStorage =
    Storage<S> && requires(S& store, typename S::Transaction& tx, std::span<const ItemRun> runs,
                           std::uint64_t token, std::int64_t id, std::string_view text,
                           Duration time, Safety safety, const Loan& loan, Failure failure) {
      { store.offer(token, runs) } -> std::same_as<std::int64_t>;
      { store.loan(id) } -> std::same_as<LoanState>;
      { store.take_back(id) } -> std::same_as<LoanState>;
      { store.borrow(text, time) } -> std::same_as<std::optional<Loan>>;
      store.extend(loan, time);
      store.settle_loan(loan, tx, safety);
      store.fail_loan(loan, text, failure);
      { store.ask_for_loans() } noexcept;
      { store.loans_wanted() } noexcept -> std::same_as<bool>;
    };

}  // namespace microbatch::inline v0_1
