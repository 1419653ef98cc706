// For the thread sanitizer. To find Paho's socket we look at all of the process's descriptors,
// while others, Paho's own threads too, may open and close theirs; what we found is looked at again
// before it is used.

extern "C" const char* __tsan_default_suppressions();   // NOLINT
extern "C" const char* __tsan_default_suppressions() {  // NOLINT
  return "race:microbatch::mqtt::sockets_to\n";
}
