#pragma once

#include <concepts>
#include <span>

namespace microbatch {

/// Takes results out. put(results) takes all of a window's results or throws; the engine repeats
/// the put with the same results, not the callback, until it succeeds or the failure policy gives
/// up. The window commits afterwards.
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

template <class S>
concept ClosableSink = requires(S& sink) { sink.close(); };

}  // namespace microbatch
