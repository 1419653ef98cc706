#include <microbatch/core/acknowledgement.hpp>

namespace microbatch::inline v0_1::detail {

void AckState::complete(std::exception_ptr error) {
  Task then;
  {
    std::lock_guard lock(mutex_);
    complete_ = true;
    error_ = std::move(error);
    then = std::move(then_);
  }
  done_.notify_all();
  then();
}

void AckState::release() noexcept {
  // acq_rel: the other side's last use happens before the delete.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void AckState::on_complete(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (!complete_) {
      then_ = std::move(task);
      return;
    }
  }
  task();
}

void AckState::wait() const {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return complete_; });
}

bool AckState::wait_until(std::chrono::steady_clock::time_point deadline) const {
  std::unique_lock lock(mutex_);
  if (deadline == std::chrono::steady_clock::time_point::max()) {
    done_.wait(lock, [&] { return complete_; });
    return true;
  }
  return done_.wait_until(lock, deadline, [&] { return complete_; });
}

bool AckState::ready() const {
  std::lock_guard lock(mutex_);
  return complete_;
}

std::exception_ptr AckState::error() const {
  std::lock_guard lock(mutex_);
  return error_;
}

}  // namespace microbatch::inline v0_1::detail
