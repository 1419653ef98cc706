// What a full stream does with one more item: twelve items meet a capacity of eight before the
// consumer begins, under each of the four policies.

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <map>
#include <microbatch/microbatch.hpp>
#include <string>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using microbatch::Overflow;

namespace {

/// Fills the stream under this policy and prints what became of the items.
bool show(std::string_view name, Overflow policy, std::string_view expected) {
  microbatch::Stream<int> stream({.capacity = 8, .overflow = policy});

  std::map<microbatch::AppendResult, int> answers;
  std::chrono::duration<double, std::milli> took{};
  auto producer = std::async(std::launch::async, [&] {
    const auto start = Clock::now();
    for (int item = 1; item <= 12; ++item) ++answers[stream.append(item)];
    took = Clock::now() - start;
  });

  if (policy == Overflow::block) {  // only here does the producer wait for the consumer
    while (stream.stats().accepted < stream.capacity()) std::this_thread::yield();
    std::this_thread::sleep_for(50ms);
  } else {
    producer.wait();
  }
  std::string delivered;
  auto consumer = microbatch::streaming(stream, microbatch::CountWindow{4},
                                        [&](microbatch::Window<int>& window) {
                                          for (int item : window)
                                            delivered += fmt::format(" {}", item);
                                        });
  producer.wait();
  consumer.close();

  std::string answered;
  for (const auto& [answer, times] : answers)
    answered += fmt::format("{}{} {}", answered.empty() ? "" : ", ", times, answer);
  const microbatch::Stats ledger = consumer.stats();
  fmt::print("{}: twelve appends took {:.0f} ms and answered: {}\n", name, took.count(), answered);
  fmt::print("    offered {} = accepted {} + refused {}\n", ledger.offered, ledger.accepted,
             ledger.refused());
  fmt::print("    accepted {} = delivered {} + dropped {}\n", ledger.accepted, ledger.delivered,
             ledger.dropped());
  fmt::print("    delivered:{}\n\n", delivered);
  return delivered == expected && ledger.balances();
}

}  // namespace

int main() {
  bool good = true;
  good &= show("block", Overflow::block, " 1 2 3 4 5 6 7 8 9 10 11 12");
  good &= show("reject", Overflow::reject, " 1 2 3 4 5 6 7 8");
  good &= show("drop_newest", Overflow::drop_newest, " 1 2 3 4 5 6 7 8");
  good &= show("drop_oldest", Overflow::drop_oldest, " 5 6 7 8 9 10 11 12");
  return good ? 0 : 1;
}
