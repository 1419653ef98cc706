#include <microbatch/core/thread_role.hpp>

namespace microbatch::detail {

ThreadRole& this_thread_role() noexcept {
  constinit thread_local ThreadRole role;
  return role;
}

}  // namespace microbatch::detail
