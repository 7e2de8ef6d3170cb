# Compiler cache, fast linker, warnings and sanitizers.

find_program(CCACHE ccache)
if(CCACHE)
  # Precompiled headers are cached only with these settings (ccache manual, "Precompiled headers"); what they are
  # known by is in common/CMakeLists.txt.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_INODECACHE=1 CCACHE_PCH_EXTSUM=1 ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Off in the release preset: whoever builds to run must not be stopped by a compiler that warns of something new.
option(MTP_WARNINGS_AS_ERRORS "Treat warnings as errors" ON)
add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(MTP_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
add_compile_definitions($<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
# Line tables are enough to read a backtrace; full debug information doubles the link.
string(REPLACE "-g" "-g1" CMAKE_CXX_FLAGS_DEBUG "${CMAKE_CXX_FLAGS_DEBUG}")
string(REPLACE "-g" "-g1" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")

if(MTP_SANITIZE)
  add_compile_options(-fsanitize=${MTP_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MTP_SANITIZE})
  if(MTP_SANITIZE STREQUAL "thread")
    # Boost.Asio has fences, which ThreadSanitizer does not follow; GCC says so wherever one is used.
    add_compile_options(-Wno-tsan)
    # Protobuf's maps have two fields more where this is defined, and Debian's library is built without. What the
    # standard library makes of it stays.
    add_compile_options(-U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  endif()
endif()

if(MTP_COVERAGE)
  # Counters of several threads at once; names that gcovr finds again when objects come out of the compiler cache.
  add_compile_options(--coverage -fprofile-update=atomic -fprofile-abs-path)
  add_link_options(--coverage)
endif()
