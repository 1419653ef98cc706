// Windows that other processes handle.

#include <fmt/format.h>

#include <cstring>
#include <type_traits>

#include "state.hpp"

namespace microbatch::inline v0_1::sqlite {

namespace {

using Is = LoanState::Is;
static_assert(std::is_trivially_copyable_v<ItemRun> && sizeof(ItemRun) == 16);

std::string_view bytes_of(std::span<const ItemRun> runs) {
  return {reinterpret_cast<const char*>(runs.data()), runs.size_bytes()};
}
std::vector<ItemRun> runs_in(std::string_view bytes) {
  std::vector<ItemRun> runs(bytes.size() / sizeof(ItemRun));
  if (!runs.empty()) std::memcpy(runs.data(), bytes.data(), runs.size() * sizeof(ItemRun));
  return runs;
}

LoanState state_of(Connection& c, std::int64_t id) {
  Query query = c.query("SELECT state, until, error, transient FROM microbatch_loans WHERE id = ?");
  if (!query.bind(id).step()) return {};
  LoanState state{.is = static_cast<Is>(query.number(0)),
                  .error = std::string(query.bytes(2)),
                  .failure = query.number(3) != 0 ? Failure::transient : Failure::poison};
  if (state.is == Is::borrowed && query.number(1) <= steady_now()) state.is = Is::lost;
  return state;
}

}  // namespace

std::int64_t Storage::offer(std::uint64_t token, std::span<const ItemRun> runs) {
  const std::int64_t id = state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_token(c, token);
    c.query("INSERT INTO microbatch_loans(stream, token, runs, state) VALUES (?, ?, ?, ?)")
        .bind(state_->id)
        .bind(static_cast<std::int64_t>(token))
        .blob(bytes_of(runs))
        .bind(static_cast<std::int64_t>(Is::offered))
        .run();
    return c.last_row();
  });
  wake(Bell::lent);
  return id;
}

LoanState Storage::loan(std::int64_t id) {
  return state_->db.read([&](Connection& c) { return state_of(c, id); });
}

LoanState Storage::take_back(std::int64_t id) {
  return state_->db.write(Safety::written, [&](Connection& c) {
    LoanState state = state_of(c, id);
    c.query("DELETE FROM microbatch_loans WHERE id = ?").bind(id).run();
    return state;
  });
}

std::optional<Loan> Storage::borrow(std::string_view borrower, Duration time) {
  const auto offered = [&](Connection& c) -> std::int64_t {
    Query query = c.query(
        "SELECT id FROM microbatch_loans WHERE stream = ? AND state = ? ORDER BY id LIMIT 1");
    return query.bind(state_->id).bind(static_cast<std::int64_t>(Is::offered)).step()
               ? query.number(0)
               : 0;
  };
  if (state_->db.read(offered) == 0) return {};
  std::optional<Loan> loan =
      state_->db.write(Safety::written, [&](Connection& c) -> std::optional<Loan> {
        const std::int64_t id = offered(c);
        if (id == 0) return {};  // another one was faster
        c.query(
             "UPDATE microbatch_loans SET state = ?, fence = fence + 1, borrower = ?, until = ? "
             "WHERE id = ?")
            .bind(static_cast<std::int64_t>(Is::borrowed))
            .bind(borrower)
            .bind(steady_now() + time.count())
            .bind(id)
            .run();
        Query query = c.query("SELECT fence, runs FROM microbatch_loans WHERE id = ?");
        query.bind(id).step();
        return Loan{.id = id,
                    .fence = static_cast<std::uint64_t>(query.number(0)),
                    .runs = runs_in(query.bytes(1))};
      });
  wake(Bell::lent);
  return loan;
}

void Storage::extend(const Loan& loan, Duration time) {
  state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_loan(c, loan);
    c.query("UPDATE microbatch_loans SET until = ? WHERE id = ?")
        .bind(steady_now() + time.count())
        .bind(loan.id)
        .run();
  });
}

void Storage::settle_loan(const Loan& loan, Transaction& transaction, Safety safety) {
  state_->db.write(safety, [&](Connection& c) {
    state_->check_loan(c, loan);
    state_->settle(c, loan.runs, transaction);
    c.query("UPDATE microbatch_loans SET state = ? WHERE id = ?")
        .bind(static_cast<std::int64_t>(Is::delivered))
        .bind(loan.id)
        .run();
  });
  wake(Bell::lent);
  wake(Bell::ended);
}

void Storage::fail_loan(const Loan& loan, std::string_view error, Failure failure) {
  state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_loan(c, loan);
    c.query("UPDATE microbatch_loans SET state = ?, error = ?, transient = ? WHERE id = ?")
        .bind(static_cast<std::int64_t>(Is::failed))
        .bind(error)
        .bind(failure == Failure::transient ? 1 : 0)
        .bind(loan.id)
        .run();
  });
  wake(Bell::lent);
}

void Storage::ask_for_loans() noexcept { state_->db.side().ask_for_loans(state_->id); }
bool Storage::loans_wanted() noexcept { return state_->db.side().loans_wanted(state_->id); }

}  // namespace microbatch::inline v0_1::sqlite
