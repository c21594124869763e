// Loaded into every service that a test spawns: when the test process is gone, however it went, so is the service.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
// Listening must not keep a service alive that has finished.
process.channel?.unref();
