/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network devices, addresses, routes and neighbours of each network namespace that a process is in,
 * by rtnetlink. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oracle.h"

enum { MAX_ATTRIBUTES = 128, MAX_NAMESPACES = 256 };

/* The attributes of a message, by their type. */
struct attributes {
	struct rtattr *of[MAX_ATTRIBUTES];
};

static unsigned long long current; /* inode of the namespace that is looked at */

static void fail(const char *what)
{
	fprintf(stderr, "oracle: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct attributes attributes_of(const struct nlmsghdr *message, size_t header)
{
	struct attributes ret = {0};
	int size = (int)message->nlmsg_len - (int)NLMSG_SPACE(header);
	char *start = (char *)NLMSG_DATA(message) + NLMSG_ALIGN(header);

	for (struct rtattr *at = (struct rtattr *)start; RTA_OK(at, size);
	     at = RTA_NEXT(at, size)) {
		/* The two highest bits are flags. */
		if ((at->rta_type & 0x3fff) < MAX_ATTRIBUTES)
			ret.of[at->rta_type & 0x3fff] = at;
	}
	return ret;
}

/* Asks for all of one kind; calls each() for every message. */
static void dump(int type, int family, void (*each)(const struct nlmsghdr *message))
{
	static char answer[1 << 17];
	struct {
		struct nlmsghdr header;
		struct rtgenmsg body;
	} request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.body)),
				.nlmsg_type = (unsigned short)type,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		     .body.rtgen_family = (unsigned char)family};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &request, request.header.nlmsg_len, 0) < 0)
		fail("rtnetlink");
	for (bool done = false; !done;) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);
		unsigned size = (unsigned)got;

		if (got < 0)
			fail("rtnetlink");
		for (struct nlmsghdr *at = (struct nlmsghdr *)answer; NLMSG_OK(at, size);
		     at = NLMSG_NEXT(at, size)) {
			done |= at->nlmsg_type == NLMSG_DONE || at->nlmsg_type == NLMSG_ERROR;
			if (at->nlmsg_type == NLMSG_ERROR)
				fail("an answer of rtnetlink");
			if (!done)
				each(at);
		}
	}
	close(fd);
}

static void row_address(const char *column, int family, const void *bytes)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family, bytes, text, sizeof(text));
	row_text(column, text);
}

static void row_mac(const struct rtattr *address)
{
	char text[3 * 32 + 1] = "";
	size_t size = address ? RTA_PAYLOAD(address) : 0;

	for (size_t i = 0; i < size && i < 32; i++)
		snprintf(text + i * 3, 4, "%02x:", ((unsigned char *)RTA_DATA(address))[i]);
	if (size)
		text[size * 3 - 1] = '\0';
	row_text("mac", text);
}

static void emit_device(const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	struct attributes attributes = attributes_of(message, sizeof(*info));
	struct rtnl_link_stats64 stats;

	memcpy(&stats, RTA_DATA(attributes.of[IFLA_STATS64]), sizeof(stats));
	row_begin("interface_details");
	row_unsigned("net_namespace", current);
	row_text("interface", RTA_DATA(attributes.of[IFLA_IFNAME]));
	row_number("interface_index", info->ifi_index);
	row_number("type", info->ifi_type);
	row_number("flags", info->ifi_flags);
	row_number("mtu", *(int *)RTA_DATA(attributes.of[IFLA_MTU]));
	row_number("metric", 0);
	row_mac(attributes.of[IFLA_ADDRESS]);
	row_unsigned("ipackets", stats.rx_packets);
	row_unsigned("opackets", stats.tx_packets);
	row_unsigned("ibytes", stats.rx_bytes);
	row_unsigned("obytes", stats.tx_bytes);
	row_unsigned("ierrors", stats.rx_errors);
	row_unsigned("oerrors", stats.tx_errors);
	row_unsigned("idrops", stats.rx_dropped);
	row_unsigned("odrops", stats.tx_dropped);
	row_unsigned("collisions", stats.collisions);
	row_end();
}

static void row_mask(int family, unsigned prefix)
{
	unsigned char mask[16] = {0};

	for (unsigned i = 0; i < prefix; i++)
		mask[i / 8] |= (unsigned char)(0x80 >> i % 8);
	row_address("mask", family, mask);
}

static void emit_address(const struct nlmsghdr *message)
{
	const struct ifaddrmsg *info = NLMSG_DATA(message);
	struct attributes attributes = attributes_of(message, sizeof(*info));
	struct rtattr *own = attributes.of[IFA_LOCAL], *other = attributes.of[IFA_ADDRESS];
	char name[IF_NAMESIZE];

	/* Of IPv6 the own one stands alone where there is no other end. */
	if (!own)
		own = other;
	row_begin("interface_addresses");
	row_unsigned("net_namespace", current);
	row_text("interface", if_indextoname(info->ifa_index, name));
	row_address("address", info->ifa_family, RTA_DATA(own));
	row_mask(info->ifa_family, info->ifa_prefixlen);
	if (memcmp(RTA_DATA(own), RTA_DATA(other), RTA_PAYLOAD(own)))
		row_address("point_to_point", info->ifa_family, RTA_DATA(other));
	else
		row_null("point_to_point");
	if (attributes.of[IFA_BROADCAST])
		row_address("broadcast", info->ifa_family, RTA_DATA(attributes.of[IFA_BROADCAST]));
	else
		row_null("broadcast");
	row_end();
}

static void row_interface(int index)
{
	char name[IF_NAMESIZE];

	if (index && if_indextoname((unsigned)index, name))
		row_text("interface", name);
	else
		row_null("interface");
}

/* gateway: an address of the route's family; via: one of another family. */
static void row_gateway(int family, const struct rtattr *gateway, const struct rtattr *via)
{
	if (gateway)
		row_address("gateway", family, RTA_DATA(gateway));
	else if (via)
		row_address("gateway", *(unsigned short *)RTA_DATA(via),
			    (char *)RTA_DATA(via) + sizeof(unsigned short));
	else
		row_null("gateway");
}

static void row_metrics(struct rtattr *metrics)
{
	unsigned mtu = 0, hops = 0;
	int size = metrics ? (int)RTA_PAYLOAD(metrics) : 0;

	for (struct rtattr *at = metrics ? RTA_DATA(metrics) : NULL; at && RTA_OK(at, size);
	     at = RTA_NEXT(at, size)) {
		if (at->rta_type == RTAX_MTU)
			mtu = *(unsigned *)RTA_DATA(at);
		if (at->rta_type == RTAX_HOPLIMIT)
			hops = *(unsigned *)RTA_DATA(at);
	}
	row_number("mtu", mtu);
	row_number("hopcount", hops);
}

/* What all hops of a route share. */
static void begin_route(const struct rtmsg *info, const struct attributes *attributes)
{
	static const char *const types[] = {[RTN_UNICAST] = "gateway",
					    [RTN_LOCAL] = "local",
					    [RTN_BROADCAST] = "broadcast",
					    [RTN_ANYCAST] = "anycast"};
	static const unsigned char zeros[16];
	const struct rtattr *to = attributes->of[RTA_DST], *source = attributes->of[RTA_PREFSRC];
	const struct rtattr *metric = attributes->of[RTA_PRIORITY];

	row_begin("routes");
	row_unsigned("net_namespace", current);
	row_number("family", info->rtm_family);
	row_address("destination", info->rtm_family, to ? RTA_DATA(to) : zeros);
	row_number("netmask", info->rtm_dst_len);
	if (source)
		row_address("source", info->rtm_family, RTA_DATA(source));
	else
		row_null("source");
	row_number("metric", metric ? *(unsigned *)RTA_DATA(metric) : 0);
	row_number("route_table", *(unsigned *)RTA_DATA(attributes->of[RTA_TABLE]));
	row_number("protocol", info->rtm_protocol);
	row_text("type", info->rtm_type <= RTN_ANYCAST && types[info->rtm_type]
			     ? types[info->rtm_type]
			     : "other");
	row_metrics(attributes->of[RTA_METRICS]);
}

/* Each hop of a route that has several. */
static void emit_hops(const struct rtmsg *info, const struct attributes *attributes)
{
	struct rtattr *hops = attributes->of[RTA_MULTIPATH];
	int left = (int)RTA_PAYLOAD(hops);

	for (struct rtnexthop *hop = RTA_DATA(hops); RTNH_OK(hop, left);) {
		struct rtattr *gateway = NULL, *via = NULL;
		int size = (int)hop->rtnh_len - (int)sizeof(*hop);

		for (struct rtattr *at = RTNH_DATA(hop); RTA_OK(at, size);
		     at = RTA_NEXT(at, size)) {
			gateway = at->rta_type == RTA_GATEWAY ? at : gateway;
			via = at->rta_type == RTA_VIA ? at : via;
		}
		begin_route(info, attributes);
		row_interface(hop->rtnh_ifindex);
		row_gateway(info->rtm_family, gateway, via);
		row_number("flags", hop->rtnh_flags);
		row_end();
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static void emit_route(const struct nlmsghdr *message)
{
	const struct rtmsg *info = NLMSG_DATA(message);
	struct attributes attributes = attributes_of(message, sizeof(*info));
	struct rtattr *device = attributes.of[RTA_OIF];

	/* What the kernel has learned of single destinations is no route. */
	if (info->rtm_flags & RTM_F_CLONED)
		return;
	if (attributes.of[RTA_MULTIPATH]) {
		emit_hops(info, &attributes);
		return;
	}
	begin_route(info, &attributes);
	row_interface(device ? *(int *)RTA_DATA(device) : 0);
	row_gateway(info->rtm_family, attributes.of[RTA_GATEWAY], attributes.of[RTA_VIA]);
	row_number("flags", info->rtm_flags);
	row_end();
}

static void emit_neighbour(const struct nlmsghdr *message)
{
	static const struct {
		int bit;
		const char *name;
	} states[] = {{NUD_INCOMPLETE, "INCOMPLETE"}, {NUD_REACHABLE, "REACHABLE"},
		      {NUD_STALE, "STALE"},           {NUD_DELAY, "DELAY"},
		      {NUD_PROBE, "PROBE"},           {NUD_FAILED, "FAILED"},
		      {NUD_PERMANENT, "PERMANENT"}};
	const struct ndmsg *info = NLMSG_DATA(message);
	struct attributes attributes = attributes_of(message, sizeof(*info));

	/* As in /proc/net/arp. */
	if (!(info->ndm_state & ~NUD_NOARP))
		return;
	row_begin("arp_cache");
	row_unsigned("net_namespace", current);
	row_interface(info->ndm_ifindex);
	row_address("address", info->ndm_family, RTA_DATA(attributes.of[NDA_DST]));
	row_mac(attributes.of[NDA_LLADDR]);
	row_text("permanent", info->ndm_state & NUD_PERMANENT ? "1" : "0");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (info->ndm_state == states[i].bit)
			row_text("state", states[i].name);
	row_end();
}

void emit_network(long pid)
{
	static unsigned long long seen[MAX_NAMESPACES];
	static size_t count;
	char path[64];
	struct stat stat;
	int there, back;

	snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	/* A process that has ended is in none. */
	if (there < 0)
		return;
	if (fstat(there, &stat) < 0)
		fail(path);
	current = stat.st_ino;
	for (size_t i = 0; i < count; i++) {
		if (seen[i] == current) {
			close(there);
			return;
		}
	}
	if (count == MAX_NAMESPACES)
		fail("too many network namespaces");
	seen[count++] = current;
	back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (back < 0 || setns(there, CLONE_NEWNET) < 0)
		fail(path);
	dump(RTM_GETLINK, AF_UNSPEC, emit_device);
	dump(RTM_GETADDR, AF_INET, emit_address);
	dump(RTM_GETADDR, AF_INET6, emit_address);
	dump(RTM_GETROUTE, AF_INET, emit_route);
	dump(RTM_GETROUTE, AF_INET6, emit_route);
	dump(RTM_GETNEIGH, AF_INET, emit_neighbour);
	dump(RTM_GETNEIGH, AF_INET6, emit_neighbour);
	emit_sockets_of_no_process(current);
	if (setns(back, CLONE_NEWNET) < 0)
		fail("the own network namespace");
	close(there);
	close(back);
}
