// Who consumes a stream.

#include "state.hpp"

namespace microbatch::inline v0_1::sqlite {

std::optional<Lease> Storage::acquire(std::string_view owner, Duration time) {
  State& state = *state_;
  const auto is_free = [&](Connection& c) {
    Query query = c.query("SELECT lease_until, lease_boot FROM microbatch_streams WHERE id = ?");
    return query.bind(state.id).step() &&
           (query.number(0) <= steady_now() || query.bytes(1) != state.db.boot());
  };
  if (!state.db.read(is_free)) return {};
  return state.db.write(Safety::written, [&](Connection& c) -> std::optional<Lease> {
    if (!is_free(c)) return {};
    c.query(
         "UPDATE microbatch_streams SET lease_token = lease_token + 1, lease_owner = ?, "
         "lease_until = ?, lease_boot = ?, read_at = ? WHERE id = ?")
        .bind(owner)
        .bind(steady_now() + time.count())
        .bind(state.db.boot())
        .bind(wall_now())
        .bind(state.id)
        .run();
    Query query = c.query("SELECT lease_token FROM microbatch_streams WHERE id = ?");
    query.bind(state.id).step();
    const Lease lease{.token = static_cast<std::uint64_t>(query.number(0)),
                      .first = state.first(c)};
    c.query("DELETE FROM microbatch_loans WHERE stream = ?").bind(state.id).run();
    // What was with a callback when the last holder died, or lost the lease.
    state.fail_items(c, state.db.side().take_marks(state.id, lease.token));
    return lease;
  });
}

void Storage::renew(std::uint64_t token, Duration time) {
  state_->db.write(Safety::written, [&](Connection& c) {
    state_->check_token(c, token);
    c.query("UPDATE microbatch_streams SET lease_until = ? WHERE id = ?")
        .bind(steady_now() + time.count())
        .bind(state_->id)
        .run();
  });
}

void Storage::release(std::uint64_t token) {
  state_->db.write(Safety::written, [&](Connection& c) {
    c.query("UPDATE microbatch_streams SET lease_until = 0 WHERE id = ? AND lease_token = ?")
        .bind(state_->id)
        .bind(static_cast<std::int64_t>(token))
        .run();
    c.query("DELETE FROM microbatch_loans WHERE stream = ? AND token = ?")
        .bind(state_->id)
        .bind(static_cast<std::int64_t>(token))
        .run();
    (void)state_->db.side().take_marks(state_->id, token + 1);
  });
}

}  // namespace microbatch::inline v0_1::sqlite
