#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>

#include "../concepts/storage.hpp"
#include "../consumer_options.hpp"
#include "../core/errors.hpp"
#include "../core/results.hpp"
#include "../delivery/dead_letter.hpp"

namespace microbatch::inline v0_1 {

/// Settings of a durable stream: how it is written.
struct DurableOptions {
  std::size_t capacity = 65'536;        ///< items appended and not yet written
  Overflow overflow = Overflow::block;  ///< what an append beyond it does
  std::size_t group_items = 16'384;     ///< at most so many items in one transaction
  std::size_t batch_bytes = 1'000'000;  ///< at most so large a row, unless one item is larger
  AnyExecutor executor{};               ///< writes, and syncs large groups; default: a thread each
  std::function<void(const BackgroundError&)> on_error{};  ///< what happens in the background

  void check() const {
    if (capacity < 1) throw ConfigError("DurableOptions.capacity must be at least 1, got 0");
    if (group_items < 1 || group_items > max_batch_items)
      throw ConfigError(fmt::format("DurableOptions.group_items must be from 1 to {}, got {}",
                                    max_batch_items, group_items));
    if (batch_bytes < 1 || batch_bytes > (std::size_t{1} << 29))
      throw ConfigError(fmt::format("DurableOptions.batch_bytes must be from 1 to {}, got {}",
                                    std::size_t{1} << 29, batch_bytes));
  }
};

/// Settings of a durable stream's consumer beyond those of any consumer.
struct DeliveryOptions {
  std::size_t capacity = 65'536;    ///< items loaded and not yet settled
  Safety commit = Safety::written;  ///< `synced`: no window comes again after a power cut, either
  Duration lease = std::chrono::seconds(10);  ///< a holder that is silent for so long has lost it
  DropRule drop{};    ///< what is dropped before it is loaded: expire_after, max_bytes
  bool lend = false;  ///< other processes' assistants may handle windows; see assist()

  void check() const {
    if (capacity < 1) throw ConfigError("DeliveryOptions.capacity must be at least 1, got 0");
    if (commit == Safety::queued)
      throw ConfigError("DeliveryOptions.commit must be Safety::written or Safety::synced");
    if (lease < std::chrono::milliseconds(100))
      throw ConfigError(
          fmt::format("DeliveryOptions.lease must be at least 100 ms, got {} ns", lease.count()));
    if (drop.older_than <= Duration::zero())
      throw ConfigError("DeliveryOptions.drop.older_than must be above 0 ns");
  }
};

}  // namespace microbatch::inline v0_1
