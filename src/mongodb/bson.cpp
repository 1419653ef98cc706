#include "bson.hpp"

#include <fmt/format.h>

#include <microbatch/mongodb/errors.hpp>
#include <string>

namespace microbatch::inline v0_1::mongodb {

namespace {

/// libbson's own check of UTF-8 misses the top level, and its depth has no limit. Visiting an
/// element checks it; MongoDB allows a nesting of 100.
bool is_well_formed(const bson_t& bson, int depth) noexcept {
  constexpr int max_depth = 100;
  bson_iter_t iter;
  if (depth > max_depth || !bson_iter_init(&iter, &bson)) return false;
  bson_visitor_t visitor{};
  visitor.visit_document = [](const bson_iter_t*, const char*, const bson_t* child, void* at) {
    return !is_well_formed(*child, *static_cast<int*>(at) + 1);
  };
  visitor.visit_array = visitor.visit_document;
  return !bson_iter_visit_all(&iter, &visitor, &depth) && iter.err_off == 0;
}

}  // namespace

Bson bson_from_json(std::string_view text, bson_error_t* error) {
  bson_error_t ignored;
  return Bson(bson_new_from_json(reinterpret_cast<const std::uint8_t*>(text.data()),
                                 static_cast<::ssize_t>(text.size()),
                                 error != nullptr ? error : &ignored));
}

bool view(const Document& document, bson_t& view) noexcept {
  const std::string& bytes = document.bson();
  return bson_init_static(&view, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                          bytes.size()) &&
         is_well_formed(view, 0);
}

Document copy_of(const bson_t& bson) {
  return Document::from_bson(
      std::string(reinterpret_cast<const char*>(bson_get_data(&bson)), bson.len));
}

Bson copy(const bson_t& bson) { return Bson(bson_copy(&bson)); }

std::string json_of(const bson_t& bson) {
  const std::unique_ptr<char, Destroy<bson_free>> text(
      bson_as_canonical_extended_json(&bson, nullptr));
  return text ? std::string(text.get()) : std::string();
}

Document Document::from_json(std::string_view text) {
  bson_error_t error{};
  const Bson bson = bson_from_json(text, &error);
  if (!bson) throw Error(fmt::format("Document::from_json: {}", error.message));
  return copy_of(*bson);
}

std::string Document::to_json() const {
  bson_t bson;
  if (!view(*this, bson)) throw Error("Document::to_json: the bytes are no BSON document");
  std::size_t length = 0;
  const std::unique_ptr<char, Destroy<bson_free>> text(
      bson_as_relaxed_extended_json(&bson, &length));
  if (!text) throw Error("Document::to_json: the document cannot be written as JSON");
  return {text.get(), length};
}

bool Document::valid() const noexcept {
  bson_t bson;
  return view(*this, bson);
}

}  // namespace microbatch::inline v0_1::mongodb
