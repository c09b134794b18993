// For `node --require`: connections to one port of this machine go to another one, as `NEXUS_TEST_REROUTE` says (`from:to`). So one process
// has a link of its own to what others reach by the same URL.
const { Socket } = require("node:net");

const [from, to] = (process.env.NEXUS_TEST_REROUTE ?? "").split(":").map(Number);
const { connect } = Socket.prototype;

Socket.prototype.connect = function (...args) {
  // Of node:net itself come normalized arguments: an array with the options first.
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (Number(options?.port) === from) options.port = to;
  return connect.apply(this, args);
};
