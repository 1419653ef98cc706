#include "line_cutter.hpp"

#include <utility>

namespace microbatch::inline v0_1::detail {

void LineCutter::feed(std::string_view bytes) {
  held_.erase(0, begin_);
  scanned_ -= std::exchange(begin_, 0);
  held_.append(bytes);
}

bool LineCutter::take(std::string& line) {
  for (;;) {
    const std::size_t end = held_.find('\n', scanned_);
    if (end == std::string::npos) {
      scanned_ = held_.size();
      if (skipping_ || held_.size() - begin_ > max_) {
        skipping_ = true;
        skip(held_.size() - begin_);
      }
      return false;
    }
    scanned_ = end + 1;
    if (skipping_ || end - begin_ > max_) {
      skip(end + 1 - begin_);
      consumed_ += std::exchange(skipped_, 0);
      skipping_ = false;
      ++too_long_;
      continue;
    }
    line.assign(held_, begin_, end - begin_);
    consumed_ += end + 1 - begin_;
    begin_ = end + 1;
    return true;
  }
}

bool LineCutter::take_rest(std::string& line) {
  const std::size_t rest = held_.size() - begin_;
  const bool is_line = rest > 0 && !skipping_ && rest <= max_;
  if (is_line) line.assign(held_, begin_, rest);
  if (!is_line && !empty()) ++too_long_;
  skip(rest);
  consumed_ += std::exchange(skipped_, 0);
  skipping_ = false;
  return is_line;
}

void LineCutter::reset() {
  const auto too_long = too_long_;
  *this = LineCutter(max_);
  too_long_ = too_long;
}

void LineCutter::skip(std::size_t n) {
  skipped_ += n;
  begin_ += n;
  scanned_ = begin_;
}

}  // namespace microbatch::inline v0_1::detail
