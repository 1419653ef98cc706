// Receipts, and the group that is synced while the next one is written.

#include <microbatch/durable/group_sync.hpp>
#include <microbatch/durable/receipt.hpp>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

using microbatch::NotDelivered;
using microbatch::Receipt;
using microbatch::Safety;
using microbatch::StorageError;
using microbatch::detail::GroupSync;
using microbatch::detail::ReceiptShare;
using namespace std::chrono_literals;

namespace {

/// The receipt of one append of n items, all of them accepted.
Receipt receipt_for(std::size_t n, std::vector<ReceiptShare>& items) {
  Receipt receipt(Safety::synced);
  for (std::size_t i = 0; i < n; ++i) items.emplace_back(receipt.state());
  receipt.set_result({.result = microbatch::AppendResult::accepted, .accepted = n});
  return receipt;
}

/// A store whose first sync waits for a word, and may fail.
struct SlowStore {
  std::promise<void> begun;
  std::promise<void> go;
  std::atomic<int> syncs{0};
  bool fails = false;

  void sync() {
    if (syncs++ == 0) {
      begun.set_value();
      go.get_future().wait();
    }
    if (fails) throw StorageError("the disk is gone");
  }
};

GroupSync<SlowStore>::Group group_of(std::vector<ReceiptShare>& items, microbatch::Position last) {
  GroupSync<SlowStore>::Group group;
  group.items.emplace_back(*items.front().state(), items.size(), last);
  for (ReceiptShare& item : items) (void)item.take();
  return group;
}

}  // namespace

TEST_CASE("a receipt is ready when all of its items are answered, in whatever order",
          "[durable][receipt]") {
  std::vector<ReceiptShare> items;
  const Receipt receipt = receipt_for(3, items);
  items[2].take()->answer(1, 30, nullptr);
  items[0].take()->answer(1, 10, nullptr);
  CHECK_FALSE(receipt.ready());
  CHECK(receipt.wait_for(0ms) == std::future_status::timeout);
  items[1].take()->answer(1, 20, nullptr);
  CHECK(receipt.ready());
  CHECK(receipt.wait_for(0ms) == std::future_status::ready);
  CHECK(receipt.get() == 30);
}

TEST_CASE("a receipt says the first of its errors", "[durable][receipt]") {
  std::vector<ReceiptShare> items;
  const Receipt receipt = receipt_for(2, items);
  items[0].take()->answer(1, -1, std::make_exception_ptr(StorageError("first")));
  items[1].take()->answer(1, -1, std::make_exception_ptr(StorageError("second")));
  CHECK_THROWS_WITH(receipt.get(), "first");
}

TEST_CASE("then() is called once, whether the answer comes before it, after it or never came",
          "[durable][receipt]") {
  std::vector<ReceiptShare> items;
  Receipt receipt = receipt_for(1, items);
  int calls = 0;
  SECTION("before") {
    items[0].take()->answer(1, 1, nullptr);
    receipt.then([&](const std::exception_ptr& error) { calls += error ? 10 : 1; });
    CHECK(calls == 1);
  }
  SECTION("after a wait that was given up, and the receipt is gone") {
    CHECK(receipt.wait_for(0ms) == std::future_status::timeout);
    receipt.then([&](const std::exception_ptr& error) { calls += error ? 10 : 1; });
    receipt = Receipt();
    CHECK(calls == 0);
    items[0].take()->answer(1, 1, nullptr);
    CHECK(calls == 1);
  }
  SECTION("never: the item was dropped") {
    receipt.then([&](const std::exception_ptr& error) { calls += error ? 10 : 1; });
    items.clear();
    CHECK(calls == 10);
  }
}

TEST_CASE("a thread that waits for a receipt is woken by the last answer", "[durable][receipt]") {
  for (int round = 0; round < 200; ++round) {
    std::vector<ReceiptShare> items;
    Receipt receipt = receipt_for(2, items);
    std::jthread answers([&] {
      for (ReceiptShare& item : items) item.take()->answer(1, round, nullptr);
    });
    CHECK(receipt.get() == round);
    receipt = Receipt();
  }
}

TEST_CASE("groups that were written while one is synced share the next sync",
          "[durable][group commit]") {
  const auto store = std::make_shared<SlowStore>();
  GroupSync<SlowStore> syncs(store, {});
  std::vector<std::vector<ReceiptShare>> items(4);
  std::vector<Receipt> receipts;
  for (std::size_t i = 0; i < items.size(); ++i) {
    receipts.push_back(receipt_for(5, items[i]));
    syncs.add(group_of(items[i], static_cast<microbatch::Position>(i)));
    if (i == 0) store->begun.get_future().wait();
  }
  CHECK_FALSE(receipts[0].ready());
  store->go.set_value();
  syncs.flush();
  for (std::size_t i = 0; i < items.size(); ++i)
    CHECK(receipts[i].get() == static_cast<microbatch::Position>(i));
  CHECK(store->syncs == 2);
}

TEST_CASE("a sync that fails is told to each receipt", "[durable][group commit]") {
  const auto store = std::make_shared<SlowStore>();
  store->fails = true;
  store->go.set_value();
  GroupSync<SlowStore> syncs(store, {});
  std::vector<ReceiptShare> items;
  const Receipt receipt = receipt_for(2, items);
  syncs.add(group_of(items, 7));
  CHECK_THROWS_WITH(receipt.get(), "the disk is gone");
}

TEST_CASE("more groups than a sync keeps up with are synced by who has written them",
          "[durable][group commit]") {
  const auto store = std::make_shared<SlowStore>();
  GroupSync<SlowStore> syncs(store, {});
  std::vector<Receipt> receipts;
  for (std::size_t i = 0; i < 200; ++i) {
    std::vector<ReceiptShare> items;
    receipts.push_back(receipt_for(1, items));
    syncs.add(group_of(items, 1));
    if (i == 0) store->begun.get_future().wait();
  }
  CHECK_FALSE(receipts.front().ready());
  CHECK(receipts.back().ready());
  store->go.set_value();
  syncs.flush();
  for (const Receipt& receipt : receipts) CHECK(receipt.get() == 1);
}

TEST_CASE("a group that is closed before it is synced says so", "[durable][group commit]") {
  const auto store = std::make_shared<SlowStore>();
  GroupSync<SlowStore> syncs(store, {});
  std::vector<std::vector<ReceiptShare>> items(2);
  std::vector<Receipt> receipts;
  for (auto& shares : items) {
    receipts.push_back(receipt_for(1, shares));
    syncs.add(group_of(shares, 1));
    if (receipts.size() == 1) store->begun.get_future().wait();
  }
  CHECK_FALSE(syncs.close(0ms));
  CHECK_THROWS_AS(receipts[1].get(), NotDelivered);
  CHECK_THROWS_WITH(receipts[1].get(), Catch::Contains("closed before the item was synced"));
  store->go.set_value();
  (void)syncs.close(microbatch::Duration::max());
  CHECK(receipts[0].get() == 1);
}

TEST_CASE("a group under way is synced and answered though all others have let go",
          "[durable][group commit]") {
  auto store = std::make_shared<SlowStore>();
  auto started = store->begun.get_future();
  std::promise<void>& go = store->go;
  std::vector<ReceiptShare> items;
  const Receipt receipt = receipt_for(1, items);
  {
    GroupSync<SlowStore> syncs(std::exchange(store, nullptr), {});
    syncs.add(group_of(items, 1));
    started.wait();
    CHECK_FALSE(syncs.close(0ms));
  }
  go.set_value();
  CHECK(receipt.get() == 1);
}

TEST_CASE("a receipt's then() may let go of everything, and throws nothing into the stage",
          "[durable][group commit]") {
  const auto store = std::make_shared<SlowStore>();
  auto syncs = std::make_unique<GroupSync<SlowStore>>(store, microbatch::AnyExecutor{});
  std::vector<std::vector<ReceiptShare>> items(2);
  std::vector<Receipt> receipts;
  std::promise<void> refused;
  for (auto& shares : items) receipts.push_back(receipt_for(1, shares));
  receipts[0].then([&](const std::exception_ptr&) {
    try {
      syncs->check_may_wait("close");
    } catch (const microbatch::UsageError&) {
      refused.set_value();
    }
    syncs.reset();
  });
  syncs->add(group_of(items[0], 1));
  store->begun.get_future().wait();
  syncs->add(group_of(items[1], 2));
  store->go.set_value();
  refused.get_future().wait();
  CHECK(receipts[1].get() == 2);
}
