/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workload: network devices of several kinds, addresses, routes and neighbours, in two network
 * namespaces. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workload.h"

/* A request to the kernel, which answers with an errno. */
struct request {
	struct nlmsghdr header;
	char body[1024];
};

static struct request begin(int type, const void *data, size_t size)
{
	struct request request = {
	    .header = {.nlmsg_type = (uint16_t)type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
		       .nlmsg_len = (uint32_t)NLMSG_LENGTH(size)}};

	memcpy(request.body, data, size);
	return request;
}

/* Adds an attribute; returns where it stands. */
static struct rtattr *add(struct request *request, int type, const void *data, size_t size)
{
	struct rtattr *at =
	    (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	at->rta_type = (uint16_t)type;
	at->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(at), data, size);
	request->header.nlmsg_len =
	    NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_ALIGN(at->rta_len);
	return at;
}

/* Ends an attribute that holds those added since. */
static void close_nest(const struct request *request, struct rtattr *at)
{
	at->rta_len = (uint16_t)((const char *)request + request->header.nlmsg_len - (char *)at);
}

static void do_request(struct request *request, const char *what)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[1024];
	} answer = {0};

	if (send(fd, request, request->header.nlmsg_len, 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		complain(what);
	errno = -answer.error.error;
	if (errno)
		complain(what);
	close(fd);
}

static void up(const char *name)
{
	struct ifreq ifreq = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(ifreq.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFFLAGS, &ifreq) < 0)
		complain(name);
	ifreq.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifreq) < 0)
		complain(name);
	close(fd);
}

static size_t parse(int family, const char *text, void *ret)
{
	REQUIRE(inet_pton(family, text, ret) == 1);
	return family == AF_INET ? 4 : 16;
}

/* peer, broadcast, label: NULL for none. */
static void address(const char *name, int family, const char *own, unsigned char prefix,
		    const char *peer, const char *broadcast, const char *label)
{
	struct ifaddrmsg message = {.ifa_family = (unsigned char)family,
				    .ifa_prefixlen = prefix,
				    .ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
				    .ifa_index = if_nametoindex(name)};
	struct request request = begin(RTM_NEWADDR, &message, sizeof(message));
	unsigned char bytes[16];
	size_t size = parse(family, own, bytes);

	add(&request, IFA_LOCAL, bytes, size);
	parse(family, peer ? peer : own, bytes);
	add(&request, IFA_ADDRESS, bytes, size);
	if (broadcast) {
		parse(family, broadcast, bytes);
		add(&request, IFA_BROADCAST, bytes, size);
	}
	if (label)
		add(&request, IFA_LABEL, label, strlen(label) + 1);
	do_request(&request, own);
}

/* Makes a device; of a veth pair, both ends. */
static void make_link(const char *name, const char *kind, const char *other)
{
	struct ifinfomsg message = {.ifi_family = AF_UNSPEC};
	struct request request = begin(RTM_NEWLINK, &message, sizeof(message));
	struct rtattr *info, *data, *peer;

	add(&request, IFLA_IFNAME, name, strlen(name) + 1);
	info = add(&request, IFLA_LINKINFO, "", 0);
	add(&request, IFLA_INFO_KIND, kind, strlen(kind));
	if (other) {
		data = add(&request, IFLA_INFO_DATA, "", 0);
		peer = add(&request, VETH_INFO_PEER, &message, sizeof(message));
		add(&request, IFLA_IFNAME, other, strlen(other) + 1);
		close_nest(&request, peer);
		close_nest(&request, data);
	}
	close_nest(&request, info);
	do_request(&request, name);
}

/* A point-to-point device without a hardware address; what is sent comes to this process. */
static int make_tunnel(const char *name)
{
	struct ifreq ifreq = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd;

	make_directory("/dev/net");
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	strncpy(ifreq.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifreq) < 0)
		complain("a tunnel");
	return fd;
}

/* Sends datagrams into the tunnel, takes them out, and sends one back as it came. */
static void use_tunnel(int tunnel, const char *to)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char packet[2048];
	ssize_t size = 0, last = 0;

	parse(AF_INET, to, &four.sin_addr);
	for (int i = 0; i < 5; i++)
		if (sendto(fd, packet, 100, 0, (struct sockaddr *)&four, sizeof(four)) < 0)
			complain("a datagram into the tunnel");
	while ((size = read(tunnel, packet, sizeof(packet))) > 0)
		last = size;
	if (last <= 0 || write(tunnel, packet, (size_t)last) != last)
		complain("a datagram out of the tunnel");
	close(fd);
}

/* A route; gateway, source: NULL for none. mtu: 0 for none. */
struct route {
	int family;
	const char *to;
	unsigned char prefix, type;
	const char *gateway, *device;
	unsigned table, metric, mtu, nexthop;
	const char *source, *gateway6;
	const char *others[2]; /* gateways of a route with several hops */
};

static void add_gateways(struct request *request, const struct route *route)
{
	struct rtattr *hops = add(request, RTA_MULTIPATH, "", 0);
	unsigned char bytes[16];

	for (int i = 0; i < 2; i++) {
		struct rtnexthop *hop =
		    (struct rtnexthop *)((char *)request + request->header.nlmsg_len);

		*hop = (struct rtnexthop){.rtnh_ifindex = (int)if_nametoindex(route->device)};
		request->header.nlmsg_len += (uint32_t)sizeof(*hop);
		add(request, RTA_GATEWAY, bytes, parse(route->family, route->others[i], bytes));
		hop->rtnh_len =
		    (uint16_t)((char *)request + request->header.nlmsg_len - (char *)hop);
	}
	close_nest(request, hops);
}

static void add_hop(struct request *request, const struct route *route)
{
	struct {
		uint16_t family;
		unsigned char bytes[16];
	} via = {.family = AF_INET6};
	unsigned index = if_nametoindex(route->device ? route->device : "lo");
	unsigned char bytes[16];

	if (route->others[0]) {
		add_gateways(request, route);
		return;
	}
	if (route->nexthop)
		add(request, RTA_NH_ID, &route->nexthop, 4);
	else if (route->device)
		add(request, RTA_OIF, &index, 4);
	if (route->gateway)
		add(request, RTA_GATEWAY, bytes, parse(route->family, route->gateway, bytes));
	if (route->gateway6) {
		parse(AF_INET6, route->gateway6, via.bytes);
		add(request, RTA_VIA, &via, sizeof(via));
	}
}

static void add_route(const struct route *route)
{
	struct rtmsg message = {.rtm_family = (unsigned char)route->family,
				.rtm_dst_len = route->prefix,
				.rtm_protocol = RTPROT_STATIC,
				.rtm_type = route->type ? route->type : RTN_UNICAST};
	struct request request = begin(RTM_NEWROUTE, &message, sizeof(message));
	unsigned table = route->table ? route->table : RT_TABLE_MAIN;
	struct rtattr *metrics;
	unsigned char bytes[16];

	add(&request, RTA_DST, bytes, parse(route->family, route->to, bytes));
	add(&request, RTA_TABLE, &table, 4);
	if (route->metric)
		add(&request, RTA_PRIORITY, &route->metric, 4);
	if (route->source)
		add(&request, RTA_PREFSRC, bytes, parse(route->family, route->source, bytes));
	add_hop(&request, route);
	if (route->mtu) {
		metrics = add(&request, RTA_METRICS, "", 0);
		add(&request, RTAX_MTU, &route->mtu, 4);
		add(&request, RTAX_HOPLIMIT, &(unsigned){33}, 4);
		close_nest(&request, metrics);
	}
	do_request(&request, route->to);
}

/* A hop that routes share; with a second one, a group of both. */
static void nexthop(unsigned id, int family, const char *gateway, unsigned first, unsigned second)
{
	struct nhmsg message = {.nh_family = (unsigned char)(gateway ? family : AF_UNSPEC),
				.nh_protocol = RTPROT_STATIC};
	struct request request = begin(RTM_NEWNEXTHOP, &message, sizeof(message));
	struct nexthop_grp group[2] = {{.id = first}, {.id = second}};
	unsigned index = if_nametoindex("dummy0");
	unsigned char bytes[16];

	add(&request, NHA_ID, &id, 4);
	if (gateway) {
		add(&request, NHA_OIF, &index, 4);
		add(&request, NHA_GATEWAY, bytes, parse(family, gateway, bytes));
	} else {
		add(&request, NHA_GROUP, group, sizeof(group));
	}
	do_request(&request, "a nexthop");
}

static void neighbour(const char *device, int family, const char *to, const char *mac,
		      unsigned short state)
{
	struct ndmsg message = {.ndm_family = (unsigned char)family,
				.ndm_ifindex = (int)if_nametoindex(device),
				.ndm_state = state};
	struct request request = begin(RTM_NEWNEIGH, &message, sizeof(message));
	unsigned char bytes[16];

	add(&request, NDA_DST, bytes, parse(family, to, bytes));
	if (mac)
		add(&request, NDA_LLADDR, mac, 6);
	do_request(&request, to);
}

static void first_routes(void)
{
	static const struct route routes[] = {
	    {AF_INET, "0.0.0.0", 0, .gateway = "10.11.12.1", .device = "dummy0"},
	    {AF_INET, "10.50.0.0", 16, .gateway = "10.11.12.99", .device = "dummy0", .metric = 7},
	    {AF_INET, "10.50.0.0", 16, .gateway = "10.11.12.98", .device = "dummy0", .metric = 8},
	    {AF_INET, "10.50.0.0", 17, .device = "dummy0", .source = "10.11.12.14", .mtu = 1400},
	    {AF_INET, "10.51.0.0", 16, .device = "dummy0",
	     .others = {"10.11.12.97", "10.11.12.96"}},
	    {AF_INET, "10.52.0.0", 24, .type = RTN_BLACKHOLE},
	    {AF_INET, "10.52.1.0", 24, .type = RTN_UNREACHABLE, .metric = 3},
	    {AF_INET, "10.53.0.0", 16, .device = "dummy0", .table = 100},
	    {AF_INET, "10.53.0.1", 32, .device = "tunnel", .table = 70000},
	    {AF_INET, "10.54.0.0", 16, .nexthop = 10},
	    {AF_INET, "10.55.0.0", 16, .nexthop = 12},
	    {AF_INET, "10.56.0.0", 16, .gateway6 = "fd00:1::99", .device = "dummy0"},
	    {AF_INET6, "::", 0, .gateway = "fd00:1::99", .device = "dummy0", .metric = 2000},
	    {AF_INET6, "fd01::", 32, .gateway = "fd00:1::99", .device = "dummy0", .mtu = 1300},
	    {AF_INET6, "fd01::", 32, .device = "dummy0", .metric = 5},
	    {AF_INET6, "fd02::", 32, .device = "dummy0", .others = {"fd00:1::97", "fd00:1::96"}},
	    {AF_INET6, "fd03::", 48, .type = RTN_BLACKHOLE},
	    {AF_INET6, "fd04::", 48, .device = "dummy0", .table = 100, .source = "fd00:1::1"},
	    {AF_INET6, "fd05::", 48, .nexthop = 20},
	};
	char to[32];

	nexthop(10, AF_INET, "10.11.12.95", 0, 0);
	nexthop(11, AF_INET, "10.11.12.94", 0, 0);
	nexthop(12, AF_INET, NULL, 10, 11);
	nexthop(20, AF_INET6, "fd00:1::95", 0, 0);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		add_route(&routes[i]);
	for (int i = 0; i < 150; i++) {
		snprintf(to, sizeof(to), "10.%d.%d.0", 60 + i % 7, i);
		add_route(&(struct route){AF_INET, to, 24, .device = "dummy0"});
		snprintf(to, sizeof(to), "fd06:%x:%x::", i % 7, i);
		add_route(&(struct route){AF_INET6, to, 48, .device = "dummy0"});
	}
	neighbour("dummy0", AF_INET, "10.11.12.50", "\x02\x00\x00\x0a\xff\x01", NUD_PERMANENT);
	neighbour("dummy0", AF_INET, "10.11.12.51", "\x02\x00\x00\x0a\xff\x02", NUD_STALE);
	neighbour("dummy0", AF_INET, "10.11.12.52", "\x02\x00\x00\x0a\xff\x03", NUD_NOARP);
	neighbour("bridge", AF_INET6, "fd00:1::50", "\x02\x00\x00\x0a\xff\x04", NUD_PERMANENT);
	neighbour("dummy0", AF_INET6, "fd00:1::51", "\x02\x00\x00\x0a\xff\x05", NUD_STALE);
}

static void first_network(void)
{
	int tunnel = make_tunnel("tunnel");

	up("dummy0");
	address("dummy0", AF_INET, "10.11.12.13", 24, NULL, "10.11.12.255", NULL);
	address("dummy0", AF_INET, "10.11.12.14", 24, NULL, NULL, "dummy0:1");
	address("dummy0", AF_INET, "10.20.0.1", 32, "10.20.0.2", NULL, NULL);
	address("dummy0", AF_INET6, "fd00:1::1", 64, NULL, NULL, NULL);
	address("dummy0", AF_INET6, "fd00:2::1", 128, "fd00:2::2", NULL, NULL);
	address("dummy0", AF_INET6, "fd00:3::1", 61, NULL, NULL, NULL);
	make_link("bridge", "bridge", NULL);
	address("bridge", AF_INET, "192.168.77.1", 25, NULL, "192.168.77.127", NULL);
	up("bridge");
	address("tunnel", AF_INET, "10.30.0.1", 32, "10.30.0.2", NULL, NULL);
	up("tunnel");
	use_tunnel(tunnel, "10.30.0.2");
	first_routes();
}

static void second_network(void)
{
	REQUIRE(unshare(CLONE_NEWNET) == 0);
	up("lo");
	address("lo", AF_INET, "10.99.0.1", 32, NULL, NULL, NULL);
	make_link("left", "veth", "right");
	make_link("down", "dummy", NULL);
	up("left");
	up("right");
	address("left", AF_INET, "10.40.0.1", 16, NULL, "10.40.255.255", NULL);
	address("right", AF_INET6, "fd00:40::1", 48, NULL, NULL, NULL);
	add_route(&(struct route){AF_INET, "0.0.0.0", 0, .gateway = "10.40.0.9", .device = "left"});
	add_route(&(struct route){AF_INET6, "fd07::", 16, .device = "right"});
	neighbour("left", AF_INET, "10.40.0.9", "\x02\x00\x00\x0a\xff\x06", NUD_PERMANENT);
}

static void network(long number)
{
	set_name(number ? "network-apart" : "network");
	if (number)
		second_network();
	else
		first_network();
	ready();
}

void start_network(void)
{
	spawn(network, 0);
	spawn(network, 1);
}
