const vxlanHeaderBytes = 8;
const ethernetHeaderBytes = 14;
const ipv4 = 0x0800;
/** Where in its header a protocol has its checksum. */
const checksumAt: Readonly<Record<number, number>> = { 6: 16, 17: 6 };

/**
 * Puts the checksum of TCP or UDP into an IPv4 frame within a VXLAN datagram. Virtual devices leave it to a network card,
 * which there is not, and the other end would throw the frame away. (RFC 9293 section 3.1, RFC 1071.)
 */
export function fillChecksum(datagram: Buffer): void {
  const ip = vxlanHeaderBytes + ethernetHeaderBytes;
  if (datagram.length < ip + 20 || datagram.readUInt16BE(ip - 2) !== ipv4) return;
  const protocol = datagram.readUInt8(ip + 9);
  const offset = checksumAt[protocol];
  if (offset === undefined) return;
  const start = ip + (datagram.readUInt8(ip) & 0x0f) * 4;
  const end = ip + datagram.readUInt16BE(ip + 2);
  if (end > datagram.length || start + offset + 2 > end) return;
  datagram.writeUInt16BE(0, start + offset);
  let sum = protocol + (end - start);
  for (let at = ip + 12; at < ip + 20; at += 2) sum += datagram.readUInt16BE(at);
  let at = start;
  for (; at + 1 < end; at += 2) sum += datagram.readUInt16BE(at);
  if (at < end) sum += datagram.readUInt8(at) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  // To UDP a 0 would say that there is none; both are the same number.
  datagram.writeUInt16BE(~sum & 0xffff || 0xffff, start + offset);
}
