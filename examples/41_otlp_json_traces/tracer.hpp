#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <fstream>
#include <microbatch/microbatch.hpp>
#include <string>

/// A finished span, before it is text.
struct Span {
  microbatch::WindowEvent::Kind kind{};
  std::string stream;
  std::uint64_t sequence = 0;
  std::uint32_t part = 0;
  std::uint32_t attempt = 0;
  microbatch::Reason reason{};
  std::uint64_t items = 0;
  bool put_only = false;
  bool undone = false;
  microbatch::TimePoint begun_at{};
  microbatch::TimePoint ended_at{};
  std::string error;  // empty: it succeeded
};

/// Writes windows as OpenTelemetry spans, in the OTLP/JSON form of a trace export request: one
/// request per line, which a collector's otlpjsonfile receiver reads.
///
/// Each window is a trace: a span from its emission until it has settled, and below it one span for
/// each attempt. The spans are themselves items of a stream, so observing costs an append, and a
/// line holds up to 512 spans.
///
///     Tracer tracer("traces.jsonl", "shop");
///     auto consumer = streaming(stream, emitter, callback, {.on_window = tracer.observer()});
///
/// It must outlive the consumers that it observes.
class Tracer {
 public:
  Tracer(const std::string& path, std::string service);

  [[nodiscard]] microbatch::WindowObserver observer();
  /// Writes what is left. True when nothing was lost.
  bool close();

 private:
  void add(const microbatch::WindowEvent& event);
  [[nodiscard]] std::string request(const microbatch::Window<Span>& spans) const;

  const std::string service_;
  const std::uint64_t run_;  // tells this run's traces from another one's
  const std::int64_t unix_of_steady_;
  std::ofstream file_;
  microbatch::Stream<Span> spans_;
  microbatch::Consumer<Span> writer_;
};
