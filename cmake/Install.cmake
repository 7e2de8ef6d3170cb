# cmake --install: the programs, and what goes with them, in three parts: for operators, for the controller's machine, for hosts.
# `ninja package` makes a Debian package of each. Manual pages and completions come out of the programs themselves; units for systemd
# name the programs where they are installed, which is known only then.
include(GNUInstallDirs)

# mtp_install_pages(COMPONENT PROGRAM SECTION)
function(mtp_install_pages component program section)
  install(CODE "
    message(STATUS \"Installing: manual pages of ${program}\")
    execute_process(COMMAND $<TARGET_FILE:${program}> manual
                            \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man${section}\"
                    COMMAND_ERROR_IS_FATAL ANY)" COMPONENT ${component})
endfunction()

# mtp_install_service(COMPONENT PROGRAM)
function(mtp_install_service component program)
  install(CODE "
    message(STATUS \"Installing: service ${program}\")
    set(bindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
    configure_file(\"${PROJECT_SOURCE_DIR}/deploy/systemd/${program}.service.in\"
                   \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/${program}.service\" @ONLY)"
          COMPONENT ${component})
endfunction()

install(TARGETS mtp-cli DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cli)
mtp_install_pages(cli mtp-cli 1)
install(CODE "
  message(STATUS \"Installing: completions\")
  set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}\")
  set(completions bash bash-completion/completions/mtp-cli zsh zsh/site-functions/_mtp-cli
      fish fish/vendor_completions.d/mtp-cli.fish)
  while(completions)
    list(POP_FRONT completions shell file)
    get_filename_component(folder \"\${share}/\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    execute_process(COMMAND $<TARGET_FILE:mtp-cli> completion \${shell} OUTPUT_FILE \"\${share}/\${file}\"
                    COMMAND_ERROR_IS_FATAL ANY)
  endwhile()
" COMPONENT cli)

install(TARGETS mtp-controller DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT controller)
mtp_install_pages(controller mtp-controller 8)
mtp_install_service(controller mtp-controller)
foreach(kind sysusers tmpfiles)
  install(FILES deploy/systemd/${kind}.conf DESTINATION lib/${kind}.d RENAME mtp-controller.conf COMPONENT controller)
endforeach()

install(TARGETS mtp-agent mtp-guard DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT agent)
mtp_install_pages(agent mtp-agent 8)
install(FILES agent/guard/mtp-guard.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 COMPONENT agent)
mtp_install_service(agent mtp-agent)
mtp_install_service(agent mtp-guard)

# Debian packages, in packages/ of the build folder. What the programs link to comes out of them. Docker Engine is not asked for:
# Debian 12's own is too old, and where another comes from is the operator's choice.
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL cli controller agent)
set(CPACK_OUTPUT_FILE_PREFIX packages)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "the operators of this fleet <root@localhost>")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_CLI_DESCRIPTION "Talks to the controller of a fleet of OpenClaw tenants")
set(CPACK_COMPONENT_CONTROLLER_DESCRIPTION "Decides where the OpenClaw tenants of a fleet run, and carries that out")
set(CPACK_COMPONENT_AGENT_DESCRIPTION "Acts on one host of a fleet of OpenClaw tenants")
# For `recover`.
set(CPACK_DEBIAN_CONTROLLER_PACKAGE_DEPENDS "systemd, restic")
set(CPACK_DEBIAN_AGENT_PACKAGE_DEPENDS "systemd, restic, openssh-client, iptables")
set(CPACK_DEBIAN_AGENT_PACKAGE_SUGGESTS "docker-ce | docker.io (>= 24), docker-compose-plugin | docker-compose (>= 2)")
foreach(component cli controller agent)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME mtp-${component})
  file(GLOB scripts CONFIGURE_DEPENDS deploy/debian/${component}/*)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${scripts})
endforeach()
include(CPack)
