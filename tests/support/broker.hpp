#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "support/catch.hpp"

namespace test {

/// What brokers/NAME.sh wrote about the server that it started; the environment variable
/// MICROBATCH_BROKER names the file.
class Broker {
 public:
  Broker() {
    const char* file = std::getenv("MICROBATCH_BROKER");
    if (file == nullptr) {
      values_["unavailable"] = "MICROBATCH_BROKER names no file; tests/brokers/ starts servers";
      return;
    }
    std::ifstream in(file);
    if (!in) values_["unavailable"] = std::string(file) + " cannot be read";
    for (std::string line; std::getline(in, line);)
      if (const auto at = line.find('='); at != std::string::npos)
        values_[line.substr(0, at)] = line.substr(at + 1);
  }
  /// Empty where the server has no such thing.
  [[nodiscard]] std::string operator[](const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? "" : found->second;
  }
  /// False, and said so in the words that CTest looks for, where the test must be skipped.
  [[nodiscard]] bool has(const std::string& name) const {
    if (values_.contains(name)) return true;
    const auto why = (*this)["unavailable"];
    std::cout << "skipped, because " << (why.empty() ? "the server has no " + name : why) << '\n';
    return false;
  }
  /// Of ...://host:port.
  [[nodiscard]] static std::uint16_t port_of(const std::string& server) {
    return static_cast<std::uint16_t>(std::stoi(server.substr(server.rfind(':') + 1)));
  }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace test
