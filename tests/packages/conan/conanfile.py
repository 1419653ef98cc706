# What Debian has installed, under the names by which Conan's recipes ask for it: for machines that do not reach Conan's server.
#
#   conan create . --name fmt --version 9.1.0
from conan import ConanFile


class System(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    package_type = "shared-library"

    def package_info(self):
        if self.name == "fmt":
            part = self.cpp_info
            part.set_property("cmake_target_name", "fmt::fmt")
            part.system_libs = ["fmt"]
            part.defines = ["FMT_SHARED"]
        elif self.name == "sqlite3":
            self.cpp_info.set_property("cmake_file_name", "SQLite3")
            part = self.cpp_info.components["sqlite3"]
            part.set_property("cmake_target_name", "SQLite::SQLite3")
            part.system_libs = ["sqlite3"]
        else:
            part = self.cpp_info.components["prometheus-cpp-pull"]
            part.set_property("cmake_target_name", "prometheus-cpp::pull")
            part.system_libs = ["prometheus-cpp-pull", "prometheus-cpp-core"]
        part.includedirs = part.libdirs = part.bindirs = []
