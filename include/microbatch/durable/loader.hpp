#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "../streaming.hpp"
#include "batch_body.hpp"
#include "durable_stream.hpp"
#include "term.hpp"

namespace microbatch::inline v0_1::detail {

/// From stored batches to the stream of one term: items that have not ended, with their positions
/// and the time at which they arrived.
///
/// An item that has used up its attempts in earlier processes is not let near others: its window
/// holds it alone, and after as many attempts again it is a dead letter. So what crashes a process
/// crashes it so many times, and not for ever.
/// Threads: one.
template <class T, Storage S, Codec<T> C>
class Loader {
 public:
  using TermOf = Term<T, S, C>;

  Loader(std::shared_ptr<DurableCore<T, S, C>> core, std::shared_ptr<TermOf> term,
         Stream<T>& stream, std::uint32_t max_attempts,
         std::function<void(const std::exception_ptr&)> report)
      : core_(std::move(core)),
        term_(std::move(term)),
        stream_(*CoreOf<T>::get(stream)),
        lane_(stream_.lanes.acquire()),
        max_attempts_(max_attempts),
        report_(std::move(report)) {}
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  ~Loader() { stream_.lanes.release(lane_); }

  /// The lease was got: what arrived before this boot counts as arrived now.
  void open() { opened_at_ = steady_clock().now(); }

  /// Waits for room. `go_on()` is asked now and then; once it says no, this returns false.
  template <class GoOn>
  bool append(const StoredBatch& batch, Consumer<T>& consumer, GoOn&& go_on) {
    const BatchBody body(batch.body, batch.items);
    const TimePoint now = steady_clock().now();
    const TimePoint arrived =
        batch.arrived_at == TimePoint{} ? opened_at_ : std::min(batch.arrived_at, now);
    term_->loaded(batch);
    for (std::uint32_t i = 0; i < batch.items; ++i) {
      if (!batch.settled.empty() && batch.settled[i]) continue;
      const Origin origin{.partition = 0, .offset = position_of(batch.number, i)};
      const std::uint64_t attempts = batch.attempts.empty() ? 0 : batch.attempts[i];
      if (attempts >= std::min<std::uint64_t>(2 * std::uint64_t{max_attempts_}, UINT16_MAX)) {
        bury(body[i], origin.offset,
             fmt::format("given up: {} attempts failed, or ended with their process", attempts));
        continue;
      }
      const bool alone = attempts >= max_attempts_;
      if (alone && !flush(consumer, go_on)) return false;
      std::optional<T> item = decoded(body[i], origin.offset);
      if (item && !put(std::move(*item), {.origin = &origin, .arrived = arrived}, go_on))
        return false;
      if (alone && !flush(consumer, go_on)) return false;
    }
    return true;
  }

 private:
  static constexpr Duration patience = std::chrono::milliseconds(50);

  template <class GoOn>
  bool put(T&& item, const Luggage& luggage, GoOn& go_on) {
    for (;;) {
      switch (stream_.admission.append(lane_, std::move(item), Admission<T>::Wait::as_configured,
                                       later(steady_clock().now(), patience), luggage)) {
        case AppendResult::accepted:
          return true;
        case AppendResult::closed:
          return false;
        case AppendResult::full:  // no window will make room for now
          std::this_thread::sleep_for(patience);
          break;
        default:
          break;
      }
      if (!go_on()) return false;
    }
  }

  template <class GoOn>
  bool flush(Consumer<T>& consumer, GoOn& go_on) {
    while (!consumer.flush(patience))
      if (!go_on()) return false;
    return true;
  }

  /// Nothing for bytes that the codec does not understand: they become a dead letter as they are.
  std::optional<T> decoded(std::string_view bytes, Position position) {
    try {
      return core_->codec.decode(bytes);
    } catch (...) {
      const auto error = std::current_exception();
      report_(error);
      bury(bytes, position, "decode: " + text_of(error));
      return {};
    }
  }
  void bury(std::string_view bytes, Position position, std::string error) {
    term_->bury(StoredDeadLetter{.position = position,
                                 .item = std::string(bytes),
                                 .error = std::move(error),
                                 .attempts = term_->earlier_attempts(position)});
  }

  const std::shared_ptr<DurableCore<T, S, C>> core_;
  const std::shared_ptr<TermOf> term_;
  StreamCore<T>& stream_;
  Lane<T>& lane_;
  const std::uint32_t max_attempts_;
  const std::function<void(const std::exception_ptr&)> report_;
  TimePoint opened_at_{};
};

}  // namespace microbatch::inline v0_1::detail
