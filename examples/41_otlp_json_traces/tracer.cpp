#include "tracer.hpp"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <utility>

using namespace microbatch;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// Numbers of the protocol's enumerations.
constexpr int span_kind_internal = 1;
constexpr int status_unset = 0;
constexpr int status_error = 2;

/// One step of SplitMix64: well mixed, and the same for the same numbers.
std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9E3779B97F4A7C15 + b + 0x632BE59BD9B4E019;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

std::uint64_t random_number() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

std::int64_t steady_to_unix() {
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(wall).count() -
         std::chrono::duration_cast<std::chrono::nanoseconds>(steady).count();
}

std::string text_of(const std::exception_ptr& error) {
  if (!error) return {};
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown";
  }
}

json attribute(std::string_view key, std::string_view text) {
  return {{"key", key}, {"value", {{"stringValue", text}}}};
}
json attribute(std::string_view key, std::uint64_t number) {  // 64-bit numbers are text in OTLP
  return {{"key", key}, {"value", {{"intValue", std::to_string(number)}}}};
}
json attribute(std::string_view key, bool truth) {
  return {{"key", key}, {"value", {{"boolValue", truth}}}};
}

}  // namespace

Tracer::Tracer(const std::string& path, std::string service)
    : service_(std::move(service)),
      run_(random_number()),
      unix_of_steady_(steady_to_unix()),
      file_(path),
      // Observers must not wait: spans beyond the capacity are dropped, and counted.
      spans_({.name = "spans", .capacity = 8192, .overflow = Overflow::drop_newest}),
      writer_(streaming(spans_, any_of(CountWindow{512}, MaxAgeWindow{1s}),
                        [this](Window<Span>& spans) {
                          file_ << request(spans) << '\n' << std::flush;
                          if (!file_) throw std::runtime_error("the trace file cannot be written");
                        })) {
  if (!file_) throw std::runtime_error(fmt::format("cannot write {}", path));
}

WindowObserver Tracer::observer() {
  return [this](const WindowEvent& event) {
    if (event.kind != WindowEvent::Kind::begun) add(event);
  };
}

void Tracer::add(const WindowEvent& event) {
  spans_.append({.kind = event.kind,
                 .stream = std::string(event.stream),
                 .sequence = event.sequence,
                 .part = event.part,
                 .attempt = event.attempt,
                 .reason = event.reason,
                 .items = event.items,
                 .put_only = event.put_only,
                 .undone = event.undone,
                 .begun_at = event.begun_at,
                 .ended_at = event.at,
                 .error = text_of(event.error)});
}

bool Tracer::close() {
  const auto ended = writer_.close();
  return ended.dead_lettered == 0 && writer_.stats().dropped() == 0;
}

std::string Tracer::request(const Window<Span>& spans) const {
  const auto unix_time = [&](TimePoint t) {
    return std::to_string(t.time_since_epoch().count() + unix_of_steady_);
  };
  json list = json::array();
  for (const Span& span : spans) {
    // Identifiers are computed, so that an attempt knows its window's without a table.
    const std::uint64_t window =
        mixed(mixed(run_, std::hash<std::string>{}(span.stream)), span.sequence);
    const bool whole = span.kind == WindowEvent::Kind::settled;
    const std::uint64_t attempt =
        mixed(window, (std::uint64_t{span.part} << 33) | (std::uint64_t{span.attempt} << 1) |
                          (span.put_only ? 1U : 0U));
    json out{{"traceId", fmt::format("{:016x}{:016x}", run_, window)},
             {"spanId",
              fmt::format("{:016x}",
                          whole ? window
                                : mixed(attempt, static_cast<std::uint64_t>(
                                                     span.begun_at.time_since_epoch().count())))},
             {"name", whole           ? "window"
                      : span.put_only ? "put"
                                      : "attempt"},
             {"kind", span_kind_internal},
             {"startTimeUnixNano", unix_time(span.begun_at)},
             {"endTimeUnixNano", unix_time(span.ended_at)},
             {"attributes",
              {attribute("microbatch.stream", span.stream),
               attribute("microbatch.window.sequence", span.sequence),
               attribute("microbatch.window.part", std::uint64_t{span.part}),
               attribute("microbatch.window.attempt", std::uint64_t{span.attempt}),
               attribute("microbatch.window.reason", to_string(span.reason)),
               attribute("microbatch.window.items", span.items)}},
             {"status", {{"code", span.error.empty() ? status_unset : status_error}}}};
    if (!whole) out["parentSpanId"] = fmt::format("{:016x}", window);
    if (whole) out["attributes"].push_back(attribute("microbatch.window.undone", span.undone));
    if (!span.error.empty()) out["status"]["message"] = span.error;
    list.push_back(std::move(out));
  }
  const json whole{{"resourceSpans",
                    {{{"resource", {{"attributes", {attribute("service.name", service_)}}}},
                      {"scopeSpans",
                       {{{"scope", {{"name", "microbatch"}, {"version", "0.1.0"}}},
                         {"spans", std::move(list)}}}}}}}};
  return whole.dump(-1, ' ', false, json::error_handler_t::replace);
}
