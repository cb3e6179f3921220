import type { z } from 'zod';
import { isLoopback } from '../core/address.ts';

const leastCharacters = 16;
/** How a token, or another secret, is made. */
export const secretHint = 'for example: openssl rand -base64 32';

/** What is wrong with a token, or undefined. It is sent in a header, so it holds neither spaces nor what is not ASCII. */
export function adminTokenProblem(token: string): string | undefined {
  if (token.length < leastCharacters) return `is shorter than ${leastCharacters} characters`;
  return /^[\x21-\x7e]+$/.test(token) ? undefined : 'holds characters that no header can carry';
}

/** The admin API lets whoever reaches it change what is cached: only this machine may reach it without a token. */
export function checkAdminAccess(section: unknown, context: z.RefinementCtx): void {
  if (typeof section !== 'object' || section === null) return;
  const { admin, adminToken, adminTokenFile } = section as Readonly<Record<string, unknown>>;
  const refuse = (key: string, message: string, advice: string) =>
    context.addIssue({ code: 'custom', path: [key], message, params: { hint: advice } });
  if (typeof adminToken === 'string') {
    const problem = adminTokenProblem(adminToken);
    if (problem !== undefined) refuse('adminToken', problem, secretHint);
    if (adminTokenFile !== undefined) refuse('adminTokenFile', 'stands beside adminToken', 'keep one of them');
  }
  if (adminToken !== undefined || adminTokenFile !== undefined) return;
  if (typeof admin !== 'object' || admin === null || !('host' in admin) || typeof admin.host !== 'string') return;
  if (isLoopback(admin.host)) return;
  const message = 'lets whoever reaches it delete what is cached: without a token it may listen on loopback only';
  refuse('admin', message, 'give adminToken or adminTokenFile; or listen on 127.0.0.1');
}
