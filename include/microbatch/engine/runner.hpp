#pragma once

#include <exception>
#include <stop_token>

#include "../consumer_options.hpp"
#include "../core/thread_role.hpp"
#include "../delivery/batch.hpp"
#include "../delivery/handler.hpp"
#include "../stream_core.hpp"
#include "attempt.hpp"
#include "judge.hpp"
#include "meters.hpp"

namespace microbatch::inline v0_1::detail {

/// Runs what a window has due: its callback, and its put where no other window has to go first.
/// What came of it stands in the batch, for Flights::complete().
///
/// Threads: the one that the batch was handed to, without the token.
template <class T>
class Runner {
 public:
  Runner(StreamCore<T>& core, Handler<T>& handler, const Judge<T>& judge,
         const WindowObserver& observer, Order order) noexcept
      : core_(core), handler_(handler), judge_(judge), observer_(observer), order_(order) {}

  void run(Batch<T>& batch, const std::stop_token& stop) const noexcept {
    const InsideCallback inside(&core_);
    batch.call_error = batch.put_error = nullptr;
    const Attempt<T> attempt(core_, observer_, batch);
    if (batch.next == Batch<T>::Next::call) {
      batch.rejections.clear();
      if (batch.meter != nullptr && batch.part_number == 0 && batch.part.attempts == 1)
        batch.meter->waited(batch.items, batch.info.emitted_at);
      try {
        Window<T> window(batch.span(batch.part), batch.info, batch.part_number, batch.part.attempts,
                         batch.rejections, stop, batch.slots(), batch.items.slot(batch.part.begin));
        const CallTime time(batch.meter, core_.clock);
        handler_.call(window, *batch.result);
      } catch (...) {
        batch.call_error = std::current_exception();
      }
      judge_.classify(batch);
      if (batch.call_error || !handler_.has_sink()) return;
      try {
        batch.puts.start(handler_.count(*batch.result), batch.part.size(), batch.rejections);
      } catch (...) {
        batch.call_error = std::current_exception();
        return;
      }
      if (order_ == Order::committed_in_order) return;
    }
    if (handler_.has_sink()) put(batch);
  }

 private:
  void put(Batch<T>& batch) const noexcept {
    try {
      batch.puts.put(
          [&](PutPlan::Run run) { return handler_.put(*batch.result, run.from, run.n); });
    } catch (...) {
      batch.put_error = std::current_exception();
    }
    try {
      if (!batch.puts.failed().empty()) judge_.sort_out(batch);
    } catch (...) {  // out of memory: all of them are put again
      if (!batch.put_error) batch.put_error = std::current_exception();
    }
  }

  StreamCore<T>& core_;
  Handler<T>& handler_;
  const Judge<T>& judge_;
  const WindowObserver& observer_;
  const Order order_;
};

}  // namespace microbatch::inline v0_1::detail
