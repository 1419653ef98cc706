#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <span>
#include <vector>

namespace microbatch::inline v0_1 {

/// One result that a sink could not take: its index in what was put, and why.
struct PutError {
  std::size_t index;
  std::exception_ptr error;
};
/// Empty: all of them were taken.
using PutErrors = std::vector<PutError>;

/// Takes results out. put(results) takes all of a window's results, or throws: then the engine puts
/// the same results again, it does not call the callback again, until the put succeeds or a drain
/// gives up. The window commits afterwards.
///
/// A put that can fail in part returns PutErrors: the results that are not named have been taken
/// and are not put again. A transient error (see FailurePolicy) puts that result again. Any other
/// one ends its item as a dead letter, where the callback returned one result per item (per item
/// that it did not reject); where it did not, there is no item to blame, and the result is put
/// again.
///
/// Optional: close(), called once, when the last result has been put.
/// Models: testing::RecordingSink. The smallest one:
///
///     struct Print {
///       void put(std::span<const std::string> lines) { for (auto& line : lines) fmt::print("{}\n",
///       line); }
///     };
template <class S, class R>
concept Sink = requires(S& sink, std::span<const R> results) { sink.put(results); };

/// A sink whose put() tells which results it could not take.
template <class S, class R>
concept PartialSink = Sink<S, R> && requires(S& sink, std::span<const R> results) {
  { sink.put(results) } -> std::convertible_to<PutErrors>;
};

template <class S>
concept ClosableSink = requires(S& sink) { sink.close(); };

}  // namespace microbatch::inline v0_1
