// Windows that other processes handle for the consumer.

#include <atomic>
#include <stdexcept>

#include <microbatch/durable/assistant.hpp>

#include "worlds.hpp"

using namespace test;
using microbatch::ItemRun;
using microbatch::LeaseLost;
using microbatch::LoanState;
using microbatch::Safety;
using microbatch::synced;
using Is = microbatch::LoanState::Is;
using Window = microbatch::sqlite::Window<std::string>;

namespace {

using Tx = microbatch::sqlite::Transaction;

/// A stream of five items, and the lease of it.
struct Lent {
  Lent() {
    write_batch(*store, {"a", "b", "c", "d", "e"});
    lease = store->acquire("the lender", 1h).value();
  }
  SqliteWorld world;
  std::shared_ptr<microbatch::sqlite::Storage> store = world.open();
  std::shared_ptr<microbatch::sqlite::Storage> other = world.open();
  microbatch::Lease lease;
  std::vector<ItemRun> runs{{.batch = 1, .begin = 1, .end = 3}};
};

}  // namespace

TEST_CASE("a window that is borrowed commits once, by its borrower", "[durable][lending]") {
  Lent l;
  CHECK_FALSE(l.other->borrow("b", 1h));
  const std::int64_t id = l.store->offer(l.lease.token, l.runs);
  CHECK(l.store->loan(id).is == Is::offered);
  const auto loan = l.other->borrow("b", 1h);
  REQUIRE(loan);
  CHECK(loan->runs == l.runs);
  CHECK_FALSE(l.other->borrow("c", 1h));  // it is taken
  CHECK(l.store->loan(id).is == Is::borrowed);
  Tx tx;
  SqliteWorld::add(tx, "items", 2);
  l.other->settle_loan(*loan, tx, Safety::written);
  CHECK(l.store->take_back(id).is == Is::delivered);
  CHECK(l.world.total("items") == 2);
  CHECK(l.store->counts().pending == 3);
  CHECK_THROWS_AS(l.other->settle_loan(*loan, tx, Safety::written), LeaseLost);
  CHECK(l.world.total("items") == 2);
}

TEST_CASE("what was taken back, or offered by one who has lost the lease, cannot be committed",
          "[durable][lending]") {
  Lent l;
  const std::int64_t id = l.store->offer(l.lease.token, l.runs);
  const auto loan = l.other->borrow("b", 1h);
  REQUIRE(loan);
  SECTION("taken back") { CHECK(l.store->take_back(id).is == Is::borrowed); }
  SECTION("another holder") {
    (void)l.other->replay(0);  // takes the lease away
    CHECK_THROWS_AS(l.store->offer(l.lease.token, l.runs), LeaseLost);
  }
  Tx tx;
  SqliteWorld::add(tx, "items", 2);
  CHECK_THROWS_AS(l.other->settle_loan(*loan, tx, Safety::written), LeaseLost);
  CHECK_THROWS_AS(l.other->extend(*loan, 1h), LeaseLost);
  CHECK_THROWS_AS(l.other->fail_loan(*loan, "x", microbatch::Failure::poison), LeaseLost);
  CHECK(l.world.total("items") == 0);
  CHECK(l.store->counts().pending == 5);
}

TEST_CASE("a borrower that is silent has lost the loan", "[durable][lending]") {
  Lent l;
  const std::int64_t id = l.store->offer(l.lease.token, l.runs);
  const auto loan = l.other->borrow("b", 1ns);
  REQUIRE(loan);
  CHECK(l.store->loan(id).is == Is::lost);
  l.other->extend(*loan, 1h);  // it was only slow, and nobody has noticed
  CHECK(l.store->loan(id).is == Is::borrowed);
  l.other->fail_loan(*loan, "no", microbatch::Failure::transient);
  const LoanState state = l.store->take_back(id);
  CHECK(state.is == Is::failed);
  CHECK(state.error == "no");
  CHECK(state.failure == microbatch::Failure::transient);
  CHECK(l.store->loan(id).is == Is::lost);
}

TEST_CASE("windows are handled by an assistant, and its failures are judged by the consumer",
          "[durable][lending]") {
  const SqliteWorld world;
  StreamOf<SqliteWorld> stream(world.open());
  StreamOf<SqliteWorld> elsewhere(world.open());
  std::atomic<int> handled{0};
  std::atomic<std::uint32_t> attempts{0};
  auto assistant = microbatch::assist(elsewhere, [&](Window& window) {
    attempts = std::max(attempts.load(), window.attempt());
    for (std::size_t i = 0; i < window.size(); ++i)
      if (window[i] == "bad") window.reject(i, "it does not swim");
    SqliteWorld::add(window.transaction(), "items", static_cast<std::int64_t>(window.size()));
    ++handled;
  });
  auto consumer =
      consume(stream, 4, [&](Window&) { throw microbatch::TransientError("somebody else's job"); },
              {.on_failure = {.max_attempts = 1,
                              .first_delay = 1ms,
                              .max_delay = 1ms,
                              .isolate = microbatch::Isolate::always}},
              {.lend = true});
  stream.append_range(Strings{"a", "b", "c", "d", "e", "bad", "f", "g"}, synced).get();
  consumer.flush();
  CHECK(world.total("items") == 7);
  CHECK(stream.stored().delivered == 7);
  CHECK(attempts >= 2);  // as the consumer counts them
  CHECK(handled >= 4);   // the first window, and the pieces of the second one
  CHECK(assistant.windows() >= 3);
  const auto letters = stream.storage().dead_letters(0, 10);
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].item == "bad");
  CHECK(letters[0].error == "it does not swim");
  assistant.close();
}

TEST_CASE("without an assistant the consumer handles all windows itself", "[durable][lending]") {
  const SqliteWorld world;
  StreamOf<SqliteWorld> stream(world.open());
  auto consumer = consume(stream, 2, [](Window&) {}, {}, {.lend = true});
  for (int i = 0; i < 10; ++i) stream.append(std::to_string(i));
  consumer.flush();
  CHECK(stream.stored().delivered == 10);
}

TEST_CASE("lending is refused where it cannot be", "[durable][lending]") {
  const MemoryWorld world;
  StreamOf<MemoryWorld> stream(world.open());
  CHECK_THROWS_WITH(consume(stream, 2, [](auto&) {}, {}, {.lend = true}), Catch::Contains("lend"));
}
