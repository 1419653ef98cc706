#include "input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace lines {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block_size = 128 * 1024;
constexpr std::size_t longest_line = 1024 * 1024;
constexpr int most_files = 200'000;
constexpr std::uintmax_t big_enough = 1024 * 1024;
constexpr std::array logs{"/var/log/syslog", "/var/log/messages", "/var/log/kern.log",
                          "/var/log/dpkg.log"};

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

volatile std::sig_atomic_t interrupt_writer = -1;

void on_interrupt(int) {
  const int before = errno;
  (void)!write(interrupt_writer, "!", 1);
  errno = before;
}

void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto n = write(file, text.data(), text.size());
    if (n < 0 && errno != EINTR) fail("list of files");
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}
Descriptor::~Descriptor() {
  if (number_ > STDERR_FILENO) close(number_);
}

Pipe::Pipe() {
  int ends[2];
  if (pipe(ends) != 0) fail("pipe");
  reader = Descriptor(ends[0]);
  writer = Descriptor(ends[1]);
}

Interrupt::Interrupt() {
  interrupt_writer = pipe_.writer.number();
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);  // the second one kills
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  (void)std::signal(SIGPIPE, SIG_IGN);
}

Interrupt::~Interrupt() {
  (void)std::signal(SIGINT, SIG_DFL);
  (void)std::signal(SIGTERM, SIG_DFL);
}

bool Interrupt::requested() const noexcept {
  pollfd watched{.fd = descriptor(), .events = POLLIN, .revents = 0};
  return poll(&watched, 1, 0) > 0;
}

Input::Input(const std::string& path, const Interrupt& interrupt) : interrupt_(interrupt) {
  if (path == "-") {
    name_ = "standard input";
    file_ = Descriptor(STDIN_FILENO);
    return;
  }
  if (!path.empty()) {
    open(path);
    return;
  }
  for (const char* log : logs) {
    std::error_code error;
    if (access(log, R_OK) != 0 || fs::file_size(log, error) < big_enough || error) continue;
    open(log);
    return;
  }
  list_files();
}

void Input::open(const std::string& path) {
  name_ = path;
  if (fs::is_directory(path)) {
    errno = EISDIR;
    fail(path);
  }
  file_ = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file_.number() < 0) fail(path);
}

/// `SIZE PATH` for each file under /usr, through a pipe.
void Input::list_files() {
  name_ = "a list of the files under /usr";
  Pipe pipe;
  file_ = std::move(pipe.reader);
  lister_ = std::jthread([out = std::move(pipe.writer)](const std::stop_token& stop) {
    std::error_code error;
    fs::recursive_directory_iterator entry("/usr", fs::directory_options::skip_permission_denied,
                                           error);
    std::string list;
    try {
      for (int n = 0; !error && n < most_files && entry != fs::end(entry) && !stop.stop_requested();
           entry.increment(error)) {
        std::error_code vanished;
        if (!entry->is_regular_file(vanished) || entry->is_symlink(vanished)) continue;
        const auto size = entry->file_size(vanished);
        if (vanished) continue;
        list += fmt::format("{} {}\n", size, entry->path().native());
        ++n;
        if (list.size() > block_size / 4) {
          write_all(out.number(), list);
          list.clear();
        }
      }
      write_all(out.number(), list);
    } catch (const std::system_error&) {  // interrupted: nobody reads the list any more
    }
  });
}

std::optional<Block> Input::next() {
  const std::lock_guard lock(mutex_);
  while (!ended_) {
    if (!read_more()) {
      ended_ = true;
      file_ = Descriptor();
      if (interrupt_.requested() || unread_.empty()) break;
      return cut(unread_.size(), inside_long_line_);
    }
    const std::size_t end = inside_long_line_ ? unread_.find('\n') : unread_.rfind('\n');
    if (end != std::string::npos) return cut(end + 1, std::exchange(inside_long_line_, false));
    if (unread_.size() >= longest_line) {
      inside_long_line_ = true;
      return cut(unread_.size(), true);
    }
  }
  return std::nullopt;
}

/// False at the end of the input, and when the end was asked for.
bool Input::read_more() {
  std::array<pollfd, 2> watched{{{.fd = file_.number(), .events = POLLIN, .revents = 0},
                                 {.fd = interrupt_.descriptor(), .events = POLLIN, .revents = 0}}};
  const std::size_t before = unread_.size();
  for (;;) {
    if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) fail(name_);
    if (watched[1].revents != 0) return false;
    if (watched[0].revents == 0) continue;
    unread_.resize(before + block_size);
    const auto n = read(file_.number(), unread_.data() + before, block_size);
    unread_.resize(before + (n > 0 ? static_cast<std::size_t>(n) : 0));
    if (n >= 0) return n > 0;
    if (errno != EINTR && errno != EAGAIN) fail(name_);
  }
}

Block Input::cut(std::size_t size, bool is_piece) {
  Block block{.offset = offset_, .text = unread_.substr(0, size), .is_piece = is_piece};
  unread_.erase(0, size);
  offset_ += static_cast<std::int64_t>(size);
  return block;
}

}  // namespace lines
