# cmake --install: the programs, and what goes with them. Manual pages and completions come out of the programs themselves; units
# for systemd name the programs where they are installed, which is known only then.
include(GNUInstallDirs)

install(TARGETS mtp-cli mtp-controller mtp-agent mtp-guard DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES agent/guard/mtp-guard.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES deploy/systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME mtp.conf)
install(FILES deploy/systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME mtp.conf)
install(CODE "
  message(STATUS \"Installing: units for systemd\")
  set(bindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
  foreach(unit mtp-controller mtp-agent mtp-guard)
    configure_file(\"${CMAKE_SOURCE_DIR}/deploy/systemd/\${unit}.service.in\"
                   \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/\${unit}.service\" @ONLY)
  endforeach()
")
install(CODE "
  set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}\")
  set(man \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}\")
  message(STATUS \"Installing: manual pages and completions\")
  execute_process(COMMAND $<TARGET_FILE:mtp-cli> manual \"\${man}/man1\" COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND $<TARGET_FILE:mtp-controller> manual \"\${man}/man8\" COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND $<TARGET_FILE:mtp-agent> manual \"\${man}/man8\" COMMAND_ERROR_IS_FATAL ANY)
  set(completions bash bash-completion/completions/mtp-cli zsh zsh/site-functions/_mtp-cli
      fish fish/vendor_completions.d/mtp-cli.fish)
  while(completions)
    list(POP_FRONT completions shell file)
    get_filename_component(folder \"\${share}/\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    execute_process(COMMAND $<TARGET_FILE:mtp-cli> completion \${shell} OUTPUT_FILE \"\${share}/\${file}\"
                    COMMAND_ERROR_IS_FATAL ANY)
  endwhile()
")
