#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "broker.hpp"

namespace test::kafka {

inline std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

/// A folder of one test's own, removed afterwards.
class Folder {
 public:
  Folder() { std::filesystem::create_directories(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }

  const std::filesystem::path path = std::filesystem::temp_directory_path() / unique("microbatch");
};

/// One of the examples in a process of its own; what it writes goes to a file.
class Program {
 public:
  Program(const std::string& example, std::vector<std::string> arguments,
          std::filesystem::path output)
      : output_(std::move(output)) {
#ifndef MICROBATCH_EXAMPLES
    RealBroker::skip("the examples are not built here");
#else
    arguments.insert(arguments.begin(), MICROBATCH_EXAMPLES "/" + example);
#endif
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int to = ::open(output_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(to, 1);
      ::dup2(to, 2);
      ::execv(argv[0], argv.data());
      std::_Exit(127);
    }
    ::close(to);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ > 0) (void)end(SIGKILL);
  }

  /// Its exit status, or minus the signal that ended it.
  int end(int signal) {
    ::kill(pid_, signal);
    return wait();
  }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  [[nodiscard]] std::string output() const { return text_of(output_); }

 private:
  const std::filesystem::path output_;
  pid_t pid_ = -1;
};

}  // namespace test::kafka
