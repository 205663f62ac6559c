// Whether a text is an IP address, without loading node:net. Pure; runs in every process.

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** Whether `text` is an IPv4 or IPv6 address, without brackets or zone. */
export function isIpAddress(text: string): boolean {
  return IPV4.test(text) || (/^[0-9A-Fa-f:.]+$/.test(text) && URL.canParse(`http://[${text}]/`));
}
