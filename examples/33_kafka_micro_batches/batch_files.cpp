#include "batch_files.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <system_error>
#include <vector>

namespace batches {
namespace {

using microbatch::Reason;
using microbatch::kafka::Record;

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* what, const fs::path& file) {
  throw microbatch::TransientError(
      fmt::format("cannot {} {}: {}", what, file.string(), std::generic_category().message(errno)));
}

/// Closes what it holds.
struct File {
  int fd;
  ~File() { ::close(fd); }
};

void sync_folder(const fs::path& folder) {
  const File opened{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (opened.fd < 0 || ::fsync(opened.fd) != 0) fail("sync", folder);
}

void write_file(const fs::path& file, std::string_view text) {
  const File opened{::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (opened.fd < 0) fail("make", file);
  while (!text.empty()) {
    const auto written = ::write(opened.fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", file);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fdatasync(opened.fd) != 0) fail("sync", file);
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(i);
    const std::size_t n = first < 0x80                    ? 1
                          : first >= 0xC2 && first < 0xE0 ? 2
                          : first >= 0xE0 && first < 0xF0 ? 3
                          : first >= 0xF0 && first < 0xF5 ? 4
                                                          : 0;
    if (n == 0 || text.size() - i < n) return false;
    for (std::size_t k = 1; k < n; ++k)
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    // Not the shortest form, a surrogate, or above U+10FFFF.
    if ((first == 0xE0 && byte(i + 1) < 0xA0) || (first == 0xED && byte(i + 1) >= 0xA0) ||
        (first == 0xF0 && byte(i + 1) < 0x90) || (first == 0xF4 && byte(i + 1) >= 0x90))
      return false;
    i += n;
  }
  return true;
}

/// A null is nothing at all, other text stands in quotes: what bulk loaders take for it.
void append_csv(std::string& text, const std::optional<std::string>& field) {
  if (!field) return;
  text += '"';
  for (const char c : *field) {
    if (c == '"') text += '"';
    text += c;
  }
  text += '"';
}

void append_json(std::string& text, const std::optional<std::string>& field) {
  if (!field) {
    text += "null";
    return;
  }
  text += '"';
  for (const char c : *field) {
    if (c == '"' || c == '\\')
      (text += '\\') += c;
    else if (static_cast<unsigned char>(c) < 0x20)
      fmt::format_to(std::back_inserter(text), "\\u{:04x}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  text += '"';
}

std::string in_utc(const Record& record) {
  if (record.timestamp_kind == microbatch::kafka::TimestampKind::none) return {};
  const auto second = std::chrono::floor<std::chrono::seconds>(record.timestamp);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(second)),
                     (record.timestamp - second).count());
}

std::string compact(microbatch::EventTime t) {
  const auto second = std::chrono::floor<std::chrono::seconds>(t);
  return fmt::format("{:%Y%m%dT%H%M%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(second)));
}

std::string place_of(const Record& record) {
  return fmt::format("{}-{}", record.partition, record.offset);
}

}  // namespace

fs::path place_file(const fs::path& folder, const std::string& name, std::string_view suffix,
                    std::string_view text) {
  std::error_code error;
  fs::create_directories(folder, error);
  const fs::path making = folder / fmt::format(".{}.{}", name, ::getpid());
  write_file(making, text);
  // A link, other than a rename, never takes the place of a file that is there.
  for (int i = 1;; ++i) {
    const fs::path file = folder / (i == 1 ? fmt::format("{}.{}", name, suffix)
                                           : fmt::format("{}-{}.{}", name, i, suffix));
    if (::link(making.c_str(), file.c_str()) == 0) {
      ::unlink(making.c_str());
      sync_folder(folder);
      return file;
    }
    if (errno != EEXIST) fail("make", file);
  }
}

bool append_row(std::string& text, const Record& record, Format format) {
  if (!is_utf8(record.key.value_or("")) || !is_utf8(record.value.value_or(""))) return false;
  const auto out = std::back_inserter(text);
  if (format == Format::csv) {
    fmt::format_to(out, "{},{},{},", record.partition, record.offset, in_utc(record));
    append_csv(text, record.key);
    text += ',';
    append_csv(text, record.value);
    text += '\n';
  } else {
    fmt::format_to(out, R"({{"partition":{},"offset":{},"timestamp":"{}","key":)", record.partition,
                   record.offset, in_utc(record));
    append_json(text, record.key);
    text += ",\"value\":";
    append_json(text, record.value);
    text += "}\n";
  }
  return true;
}

BatchFiles::BatchFiles(const Options& options) : options_(options) {}

void BatchFiles::write(microbatch::Window<Record>& window) {
  const bool in_time = window.event_bounds().has_value();
  text_ = options_.format == Format::csv ? "partition,offset,timestamp,key,value\n" : "";
  std::vector<std::size_t> no_text;
  for (std::size_t i = 0; i < window.size(); ++i)
    if (!append_row(text_, window[i], options_.format)) no_text.push_back(i);
  const std::size_t rows = window.size() - no_text.size();
  if (rows > 0) {
    const std::string name = in_time ? fmt::format("{}-{}", compact(window.event_bounds()->begin),
                                                   compact(window.event_bounds()->end))
                                     : "late-" + place_of(window[0]);
    place_file(in_time ? options_.output : options_.late, name,
               options_.format == Format::csv ? "csv" : "jsonl", text_);
    ++counts_.files;
    (in_time ? counts_.records : counts_.late) += rows;
  }
  for (const std::size_t i : no_text) window.reject(i, "the key or the value is not UTF-8");
}

void BatchFiles::keep_rejected(const Record& record) {
  place_file(options_.output / "rejected", place_of(record), "bin", record.value.value_or(""));
  ++counts_.rejected;
}

}  // namespace batches
