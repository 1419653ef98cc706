#pragma once

#include <concepts>
#include <stop_token>

#include "../core/item.hpp"
#include "../core/results.hpp"

namespace microbatch::inline v0_1 {

template <class T>
class Feed;

/// Brings items in. run(feed, stop) appends to the feed until the source has ended or is told to
/// stop; the feed waits while the stream is full and answers `closed` when there is no point in
/// going on. An exception from run() ends the input and comes out of microbatch::run().
///
/// Models: testing::VectorSource. The smallest one:
///
///     struct Numbers {
///       void run(microbatch::Feed<int>& feed, std::stop_token stop) {
///         for (int i = 0; i < 1000 && !stop.stop_requested(); ++i) feed.append(i);
///       }
///     };
template <class S, class T>
concept Source =
    requires(S& source, Feed<T>& feed, std::stop_token stop) { source.run(feed, stop); };

/// A source that learns how far its items have committed: it appends with an Origin, and commit()
/// is told the last offset of the contiguous prefix, per partition, never past what is in flight.
/// Offsets of a partition are appended in ascending order. commit() is called by one thread at a
/// time, in ascending order, and may run while run() does.
template <class S, class T>
concept CommittableSource =
    Source<S, T> && requires(S& source, Origin last) { source.commit(last); };

}  // namespace microbatch::inline v0_1
