#pragma once

#include <microbatch/microbatch.hpp>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace test {

using Lines = std::vector<std::string>;

/// A folder of the test's own, gone with it.
class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("microbatch-io-" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directory(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary | std::ios::trunc) << text;
  }
  void append(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary | std::ios::app) << text;
  }
  void rename(const std::string& from, const std::string& to) const {
    std::filesystem::rename(path_ / from, path_ / to);
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

/// A source that runs into a vector, on a thread of its own, until stop().
template <class Source>
class Running {
 public:
  explicit Running(Source source)
      : source_(std::move(source)), thread_([this](const std::stop_token& stop) {
          microbatch::RunOptions<std::string, void> options;
          options.stop = stop;
          options.consumer.on_error = [this](const microbatch::BackgroundError& error) {
            const std::lock_guard lock(mutex_);
            errors_.push_back(error.text);
          };
          try {
            microbatch::run(
                *source_,
                microbatch::any_of(microbatch::CountWindow{100},
                                   microbatch::MaxAgeWindow{std::chrono::milliseconds(1)}),
                [this](microbatch::Window<std::string>& window) {
                  const std::lock_guard lock(mutex_);
                  lines_.insert(lines_.end(), window.begin(), window.end());
                  changed_.notify_all();
                },
                microbatch::NoSink{}, std::move(options));
          } catch (const std::exception& error) {
            const std::lock_guard lock(mutex_);
            errors_.emplace_back(error.what());
          }
        }) {}

  /// Waits until there are so many lines.
  Lines wait_for(std::size_t n, microbatch::Duration timeout = std::chrono::seconds(10)) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return lines_.size() >= n; });
    return lines_;
  }
  Lines stop() {
    thread_.request_stop();
    return join();
  }
  Lines join() {
    if (thread_.joinable()) thread_.join();
    return lines_;
  }
  [[nodiscard]] const Lines& errors() const { return errors_; }  // after join()
  Source& source() { return *source_; }
  /// Stops it, and destroys the source.
  Lines end() {
    stop();
    source_.reset();
    return lines_;
  }

 private:
  std::optional<Source> source_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Lines lines_;
  Lines errors_;
  std::jthread thread_;
};

}  // namespace test
