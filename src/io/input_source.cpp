#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <microbatch/core/errors.hpp>
#include <microbatch/io/input_source.hpp>
#include <system_error>
#include <vector>

#include "line_cutter.hpp"
#include "posix.hpp"

namespace microbatch::inline v0_1::detail {

class InputReader {
 public:
  InputReader(int descriptor, std::size_t max_line_bytes)
      : descriptor_(descriptor), cutter_(max_line_bytes), buffer_(65'536) {
    if (max_line_bytes < 1)
      throw ConfigError("InputSource: max_line_bytes must be at least 1, got 0");
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY)
      throw ConfigError(
          fmt::format("InputSource: descriptor {} is not open for reading", descriptor));
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw_errno("cannot make a pipe for", "InputSource");
    stop_read_ = Fd(ends[0]);
    stop_write_ = Fd(ends[1]);
    for (const int fd : ends) (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }

  bool next(std::string& line, const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] { (void)write_all(stop_write_.get(), "x"); });
    while (!stop.stop_requested()) {
      if (cutter_.take(line)) return true;
      if (ended_) return cutter_.take_rest(line);
      if (wait()) read();
    }
    return false;
  }

  [[nodiscard]] std::uint64_t too_long() const noexcept { return cutter_.too_long(); }

 private:
  /// Until there is something to read, or somebody wants us to stop.
  bool wait() {
    std::array<::pollfd, 2> polled{{{.fd = descriptor_, .events = POLLIN, .revents = 0},
                                    {.fd = stop_read_.get(), .events = POLLIN, .revents = 0}}};
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) return false;
      throw std::system_error(errno, std::generic_category(), "cannot wait for input");
    }
    return polled[0].revents != 0 && polled[1].revents == 0;
  }

  void read() {
    const ::ssize_t n = ::read(descriptor_, buffer_.data(), buffer_.size());
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      throw std::system_error(errno, std::generic_category(),
                              fmt::format("cannot read descriptor {}", descriptor_));
    if (n == 0) ended_ = true;
    if (n > 0) cutter_.feed({buffer_.data(), static_cast<std::size_t>(n)});
  }

  int descriptor_;
  LineCutter cutter_;
  std::vector<char> buffer_;
  Fd stop_read_;
  Fd stop_write_;
  bool ended_ = false;
};

}  // namespace microbatch::inline v0_1::detail

namespace microbatch::inline v0_1 {

InputSource::InputSource(int descriptor, std::size_t max_line_bytes)
    : reader_(std::make_unique<detail::InputReader>(descriptor, max_line_bytes)) {}
InputSource::InputSource(InputSource&&) noexcept = default;
InputSource::~InputSource() = default;

bool InputSource::next(std::string& line, const std::stop_token& stop) {
  return reader_->next(line, stop);
}
std::uint64_t InputSource::too_long() const noexcept { return reader_->too_long(); }

}  // namespace microbatch::inline v0_1
