import { DaemonAt } from "./daemon_at.js";
import { DaemonProcess } from "./daemon_process.js";

/** A real `nexusd serve`, which can be killed. */
export class ProcessAt extends DaemonAt {
  daemon!: DaemonProcess;

  async start(): Promise<void> {
    this.daemon = new DaemonProcess(this.environment);
    await this.daemon.ready();
  }

  async close(): Promise<void> {
    await this.daemon?.kill("SIGKILL");
  }
}
