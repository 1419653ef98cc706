// Windows as OpenTelemetry spans: a pipeline with a failing item writes traces.jsonl, in OTLP/JSON.

#include <fmt/format.h>

#include <chrono>
#include <microbatch/microbatch.hpp>
#include <stdexcept>
#include <string>

#include "tracer.hpp"

using namespace microbatch;
using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "traces.jsonl";
  Tracer tracer(path, "shop");

  Stream<std::string> orders({.name = "orders"});
  auto consumer = streaming(
      orders, CountWindow{100},
      [](Window<std::string>& window) {
        for (const auto& order : window)
          if (order == "order 150") throw std::runtime_error("no such \"customer\"");
      },
      {.on_failure = {.max_attempts = 1, .first_delay = 1ms}, .on_window = tracer.observer()});
  for (int i = 0; i < 250; ++i) orders.append(fmt::format("order {}", i));
  const auto ended = consumer.close();

  const bool complete = tracer.close();
  fmt::print("{} orders delivered, {} put aside; the traces are in {}\n", ended.delivered,
             ended.dead_lettered, path);
  return complete && ended.delivered == 249 && ended.dead_lettered == 1 ? 0 : 1;
}
