import type { Route } from './exchange.ts'
import { HookReceiver } from './hooks.ts'
import { MemberPages } from './members.ts'
import type { FlyParts } from './parts.ts'
import { CommandSessions } from './plane/command-sessions.ts'
import { GraphQL } from './plane/graphql.ts'
import { Machines } from './plane/machines.ts'
import { OAuth } from './plane/oauth.ts'
import { Running } from './plane/running.ts'
import { Extensions } from './provider/extensions.ts'
import { SingleSignOn } from './provider/single-sign-on.ts'
import { signInRoutes } from './sign-in.ts'

/** All that is answered on the port of Fly's side. */
export function flyRoutes(parts: FlyParts): readonly Route[] {
  return [
    ...new Extensions(parts).routes(),
    ...new SingleSignOn(parts).routes(),
    ...signInRoutes(parts),
    ...new MemberPages(parts).routes(),
    ...new GraphQL(parts).routes(),
    ...new Machines(parts).routes(),
    ...new Running(parts).routes(),
    ...new CommandSessions(parts).routes(),
    ...new OAuth(parts).routes(),
    ...new HookReceiver(parts).routes(),
  ]
}
