// Asio's and Beast's code, compiled once here instead of in each file.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
