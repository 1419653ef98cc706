#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace lines {

/// An open file, closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

struct Pipe {
  Pipe();
  Descriptor reader;
  Descriptor writer;
};

/// From its construction on, the first Ctrl-C (or SIGTERM) asks the program to come to an end, and
/// the second one kills it. One per program.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  /// Readable once the end was asked for.
  [[nodiscard]] int descriptor() const noexcept { return pipe_.reader.number(); }
  [[nodiscard]] bool requested() const noexcept;

 private:
  Pipe pipe_;
};

/// Whole lines, many at once, as they stand in the input.
struct Block {
  std::int64_t offset = 0;
  std::string text;
  bool is_piece = false;  ///< of a line that is too long to be one
};

/// A file, standard input ("-"), or where no path is given a log of this machine or a list of its
/// files. Ends with the input or with the interrupt, whichever is first; the beginning of a line
/// whose end was not read by then has not been taken.
///
/// Threads: next() by any number of them. Errors: std::system_error.
class Input {
 public:
  Input(const std::string& path, const Interrupt& interrupt);

  [[nodiscard]] std::optional<Block> next();
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  void open(const std::string& path);
  void list_files();
  [[nodiscard]] bool read_more();
  [[nodiscard]] Block cut(std::size_t size, bool is_piece);

  const Interrupt& interrupt_;
  std::string name_;
  Descriptor file_;

  std::mutex mutex_;
  std::string unread_;       // read from the file, and in no block yet
  std::int64_t offset_ = 0;  // of its first byte
  bool inside_long_line_ = false;
  bool ended_ = false;

  std::jthread lister_;
};

}  // namespace lines
