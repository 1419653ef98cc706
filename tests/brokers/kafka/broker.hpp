#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>

#include "support/kafka.hpp"

namespace test::kafka {

/// The broker that tests/brokers/kafka.sh has started. Where there is none, the test ends here and
/// is reported as skipped, with the reason.
class RealBroker : public Broker {
 public:
  RealBroker() : RealBroker(facts()) {}

  /// What kafka.sh says of it; the test is skipped where it says nothing (a broker of the user's).
  [[nodiscard]] std::string fact(const std::string& name) const {
    const auto at = facts_.find(name);
    if (at == facts_.end()) skip("this broker offers no " + name);
    return at->second;
  }

  [[noreturn]] static void skip(const std::string& why) {
    std::printf("skipped, because %s\n", why.c_str());  // the words that CTest looks for
    std::fflush(stdout);
    std::_Exit(0);
  }

 private:
  using Facts = std::map<std::string, std::string>;

  explicit RealBroker(Facts facts) : Broker(facts["bootstrap"]), facts_(std::move(facts)) {}

  static Facts facts() {
    const char* path = std::getenv("MICROBATCH_BROKER");
    if (path == nullptr) skip("MICROBATCH_BROKER names no file; tests/brokers/ starts servers");
    Facts facts;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
      if (const auto at = line.find('='); at != std::string::npos)
        facts[line.substr(0, at)] = line.substr(at + 1);
    if (facts.count("unavailable") > 0) skip(facts["unavailable"]);
    if (facts.count("bootstrap") == 0) skip("tests/brokers/kafka.sh was not started");
    return facts;
  }

  const Facts facts_;
};

/// There is one proxied listener: one test at a time.
class Turn {
 public:
  explicit Turn(const std::string& file) : file_(::open(file.c_str(), O_CREAT | O_RDWR, 0600)) {
    ::flock(file_, LOCK_EX);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { ::close(file_); }

 private:
  int file_;
};

}  // namespace test::kafka
