#pragma once

#include <microbatch/microbatch.hpp>

#include <span>

#include "../work.hpp"

namespace contest {

/// Ours, through a Producer per thread, or through the stream itself; with its histograms or not.
template <class I, class Callback, bool ThroughProducer, bool Measured = false>
class Microbatch {
 public:
  static constexpr const char* name = Measured          ? "microbatch-measured"
                                      : ThroughProducer ? "microbatch"
                                                        : "microbatch-stream";
  static constexpr bool spins = false;

  Microbatch(const Setup& setup, Callback& callback)
      : stream_({.capacity = setup.room}),
        consumer_(
            microbatch::streaming(stream_, microbatch::CountWindow{setup.window},
                                  [&callback](std::span<const I> window) { callback(window); },
                                  {.histograms = Measured})) {}

  auto producer() {
    if constexpr (ThroughProducer)
      return stream_.producer();
    else
      return Through{stream_};
  }
  void close() { (void)consumer_.close(); }

 private:
  struct Through {
    microbatch::Stream<I>& stream;
    void append(const I& item) { stream.append(item); }
  };

  microbatch::Stream<I> stream_;
  microbatch::Consumer<I> consumer_;
};

template <class I, class Callback>
using ThroughProducer = Microbatch<I, Callback, true>;
template <class I, class Callback>
using ThroughStream = Microbatch<I, Callback, false>;
template <class I, class Callback>
using Measured = Microbatch<I, Callback, true, true>;

}  // namespace contest
