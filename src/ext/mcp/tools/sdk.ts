/** What is used of the SDK of the Model Context Protocol: the build puts it into a file of its own, which other commands never read. */
export {
  type AuthInfo,
  type CallToolResult,
  type ClientCapabilities,
  createMcpHandler,
  deserializeMessage,
  hostHeaderValidationResponse,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  isLegacyRequest,
  type LoggingLevel,
  localhostAllowedHostnames,
  type McpRequestContext,
  McpServer,
  originValidationResponse,
  type ServerContext,
  STDIO_DEFAULT_MAX_BUFFER_SIZE,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
export { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
export { z } from "zod";
