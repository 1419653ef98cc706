#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <microbatch/durable/durable_streaming.hpp>

namespace microbatch::inline v0_1::detail {

std::string lease_owner() {
  static std::atomic<unsigned> consumers{0};
  char host[256] = "?";
  (void)gethostname(host, sizeof host - 1);
  return fmt::format("{}:{}:{}", host, getpid(), consumers.fetch_add(1));
}

}  // namespace microbatch::inline v0_1::detail
