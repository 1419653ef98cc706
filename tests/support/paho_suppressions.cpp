// For the sanitizers. To find Paho's socket we look at all of the process's descriptors, while
// others, Paho's own threads too, may open and close theirs; what we found is looked at again
// before it is used. And Paho before 1.3.14 forgets to free what it had not begun to send when a
// connection was lost (its issue 1474).

extern "C" const char* __tsan_default_suppressions();   // NOLINT
extern "C" const char* __tsan_default_suppressions() {  // NOLINT
  return "race:microbatch::mqtt::SocketFinder\n";
}
extern "C" const char* __lsan_default_suppressions();   // NOLINT
extern "C" const char* __lsan_default_suppressions() {  // NOLINT
  return "leak:libpaho-mqtt3as\n";
}
