#include <microbatch/delivery/dead_letter.hpp>

namespace microbatch::inline v0_1::detail {

std::string text_of(const std::exception_ptr& error) {
  if (!error) return "no error";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (const std::string& text) {
    return text;
  } catch (const char* text) {
    return text;
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace microbatch::inline v0_1::detail
