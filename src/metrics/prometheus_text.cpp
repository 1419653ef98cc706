#include <microbatch/metrics/prometheus_text.hpp>

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <string_view>

namespace microbatch::inline v0_1 {

namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
}

void append_number(std::string& out, double value) {
  if (std::isnan(value))
    out += "NaN";
  else if (std::isinf(value))
    out += value > 0 ? "+Inf" : "-Inf";
  else
    fmt::format_to(std::back_inserter(out), "{}", value);
}

class Writer {
 public:
  void write(const MetricFamily& family) {
    constexpr std::string_view types[] = {"counter", "gauge", "histogram"};
    out_ += "# HELP " + family.name + " ";
    append_escaped(out_, family.help, false);
    fmt::format_to(std::back_inserter(out_), "\n# TYPE {} {}\n", family.name,
                   types[static_cast<std::size_t>(family.type)]);
    for (const auto& series : family.series) {
      if (family.type != MetricFamily::Type::histogram) {
        line(family.name, "", series.labels, {}, series.value);
        continue;
      }
      for (const auto& bucket : series.buckets) {
        le_.clear();
        append_number(le_, bucket.upper_bound);
        line(family.name, "_bucket", series.labels, le_, static_cast<double>(bucket.so_far));
      }
      line(family.name, "_bucket", series.labels, "+Inf", static_cast<double>(series.count));
      line(family.name, "_sum", series.labels, {}, series.sum);
      line(family.name, "_count", series.labels, {}, static_cast<double>(series.count));
    }
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void line(std::string_view name, std::string_view suffix, const Labels& labels,
            std::string_view le, double value) {
    out_ += name;
    out_ += suffix;
    char before = '{';
    const auto label = [&](std::string_view key, std::string_view text) {
      out_ += before;
      out_ += key;
      out_ += "=\"";
      append_escaped(out_, text, true);
      out_ += '"';
      before = ',';
    };
    for (const auto& [key, text] : labels) label(key, text);
    if (!le.empty()) label("le", le);
    if (before == ',') out_ += '}';
    out_ += ' ';
    append_number(out_, value);
    out_ += '\n';
  }

  std::string out_;
  std::string le_;
};

}  // namespace

std::string prometheus_text(const std::vector<MetricFamily>& families) {
  Writer writer;
  for (const auto& family : families) writer.write(family);
  return writer.take();
}

}  // namespace microbatch::inline v0_1
